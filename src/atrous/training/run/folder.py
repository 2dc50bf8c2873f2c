"""The folder of a run: what was asked for, what came of it, and what it can go on from.

```
RUN/
  recipe.toml          every key with the value in force
  run.json             command, versions, commit, machine, data; how far it is
  metrics.jsonl        a line an evaluated epoch
  class_counts.json    pixels of every class, if the recipe weighs them
  volumes/             prepared volumes, of runs on such; may be removed when the run is done
  checkpoints/         the last two, to resume from
  best.safetensors     the best weights by the chief score, with their card
  last.safetensors     the newest
```
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atrous._files import make_folder, write_text
from atrous.errors import DataError
from atrous.training.recipe.file import recipe_of, recipe_text
from atrous.training.recipe.keys import RUN_ONLY_KEYS
from atrous.training.recipe.recipe import Recipe

_OURS: Final = (
    "checkpoints/checkpoint-*.pt",
    "samples/epoch-*.png",
    "volumes/*/*.npy",
    "volumes/*/index.json",
    "events/events.out.tfevents.*",
    "not-finite-step-*.safetensors",
    "best.safetensors",
    "last.safetensors",
    "metrics.jsonl",
    "class_counts.json",
    "curves.svg",
    "run.json",
)
"""All that a run writes but its recipe, as patterns in its folder."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the files of a run lie."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.toml"

    @property
    def facts(self) -> Path:
        return self.root / "run.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def class_counts(self) -> Path:
        return self.root / "class_counts.json"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def best(self) -> Path:
        return self.root / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.root / "last.safetensors"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a run to go on with."""
        return self.recipe.is_file() and any(self.checkpoints.glob("checkpoint-*.pt"))

    def claim(self, recipe: Recipe) -> frozenset[str]:
        """Make the folder for a recipe, or see that it is this recipe's already.

        A run without a checkpoint yet has nothing to lose: another recipe takes its place.

        Returns:
            Keys whose values differ from those of the run that goes on.

        Raises:
            DataError: If it holds a run of another recipe, or cannot be written in.
        """
        if self.recipe.is_file():
            differing: dict[str, str] = {}
            if self.has_checkpoint:
                differing = _differing(self.read_recipe(), recipe)
                others = [text for key, text in differing.items() if key not in RUN_ONLY_KEYS]
                if others:
                    raise DataError(
                        f"{self.root} holds a run of another recipe: {'; '.join(others)}; give "
                        "another folder with --out, or --overwrite."
                    )
            write_text(self.recipe, recipe_text(recipe))
            return frozenset(differing)
        make_folder(self.root)
        if any(self.root.iterdir()):
            raise DataError(
                f"{self.root} holds files but no run; expected an empty or new folder; give "
                "another with --out."
            )
        make_folder(self.checkpoints)
        write_text(self.recipe, recipe_text(recipe))
        return frozenset()

    def clear(self) -> None:
        """Remove the files that a run writes, and nothing that somebody else put there.

        Raises:
            DataError: If there are files but no run.
        """
        if not self.root.is_dir() or not any(self.root.iterdir()):
            return
        if not self.recipe.is_file():
            raise DataError(
                f"{self.root} holds files but no run, so --overwrite removes nothing there; give "
                "another folder with --out."
            )
        for pattern in _OURS:
            for path in self.root.glob(pattern):
                path.unlink()
        self.recipe.unlink()  # last: until then it is a run that can be cleared again
        for name in ("checkpoints", "samples", "events", "volumes/train", "volumes/val", "volumes"):
            folder = self.root / name
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def read_facts(self) -> dict[str, object]:
        """What `run.json` says; empty if there is none yet."""
        try:
            facts: dict[str, object] = json.loads(self.facts.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.facts}: {error}; expected the facts of a run; give --overwrite."
            ) from error
        return facts

    def write_facts(self, facts: Mapping[str, object]) -> None:
        """Add to what `run.json` says."""
        write_text(self.facts, json.dumps({**self.read_facts(), **facts}, indent=1) + "\n")

    def history(self) -> list[dict[str, object]]:
        """The lines of `metrics.jsonl`; one that was cut off is left out."""
        if not self.metrics.is_file():
            return []
        lines = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def write_history(self, records: list[dict[str, object]]) -> None:
        """Write all lines of `metrics.jsonl` anew, whole."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in records))

    def read_recipe(self) -> Recipe:
        """The recipe of the run, every key with the value in force; paths are as the run had them.

        Raises:
            DataError: If it cannot be read.
        """
        try:
            values = tomllib.loads(self.recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.recipe}: {error}; expected the recipe of a run; give --overwrite."
            ) from error
        return recipe_of(values, where=str(self.recipe))


def _differing(before: Recipe, now: Recipe) -> dict[str, str]:
    """What each key was and is, of those that differ."""
    return {
        key: f"{key} was {getattr(before, key)!r} and is {getattr(now, key)!r}"
        for key in Recipe.__dataclass_fields__
        if getattr(before, key) != getattr(now, key)
    }
