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
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atrous._documents import parse_json, parse_toml, read_json, read_text
from atrous._files import make_folder, write_text
from atrous.errors import DataError
from atrous.training.recipe.file import recipe_of, recipe_text
from atrous.training.recipe.keys import RUN_ONLY_KEYS
from atrous.training.recipe.recipe import Recipe

logger = logging.getLogger(__name__)

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
    "checkpoints/*.damaged",
    "*.damaged",
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
            if self._has_begun():
                differing = _differing(self.read_recipe(), recipe)
                others = [text for key, text in differing.items() if key not in RUN_ONLY_KEYS]
                if others:
                    raise DataError(
                        f"{self.root} holds a run of another recipe: {'; '.join(others)}; give "
                        "another folder with --out, or --overwrite."
                    )
            else:  # refused or stopped before it came to anything
                self.facts.unlink(missing_ok=True)
                make_folder(self.checkpoints)
            write_text(self.recipe, recipe_text(recipe))
            return frozenset(differing)
        make_folder(self.root)
        if any(not _is_left_over(entry) for entry in self.root.iterdir()):
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
        facts: object = None
        try:
            facts = read_json(self.facts)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DataError(
                f"{self.facts}: {error.strerror}; expected the facts of a run; check its "
                "permissions."
            ) from error
        except ValueError:  # said below
            pass
        if not isinstance(facts, dict):
            set_aside(self.facts, "what the run was made of is not compared")
            return {}
        return facts

    def write_facts(self, facts: Mapping[str, object]) -> None:
        """Add to what `run.json` says."""
        write_text(self.facts, json.dumps({**self.read_facts(), **facts}, indent=1) + "\n")

    def history(self) -> list[dict[str, object]]:
        """The records of `metrics.jsonl`; damaged lines are left out, and the file set aside."""
        if not self.metrics.is_file():
            return []
        text = self.metrics.read_text(encoding="utf-8", errors="replace")
        records = [_record(line) for line in text.splitlines()]
        whole = [record for record in records if record is not None]
        if len(whole) < len(records):
            set_aside(self.metrics, f"{len(whole)} of its {len(records)} lines are whole and kept")
            self.write_history(whole)
        return whole

    def write_history(self, records: list[dict[str, object]]) -> None:
        """Write all lines of `metrics.jsonl` anew, whole."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in records))

    def _has_begun(self) -> bool:
        """Whether a run has left anything that a start from the first step would lose."""
        return self.metrics.exists() or self.last.exists() or any(self.checkpoints.glob("*.pt"))

    def read_recipe(self) -> Recipe:
        """The recipe of the run, every key with the value in force; paths are as the run had them.

        Raises:
            DataError: If it cannot be read.
        """
        try:
            values = parse_toml(read_text(self.recipe))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.recipe}: {error}; expected the recipe of a run; give --overwrite."
            ) from error
        return recipe_of(values, where=str(self.recipe))


def set_aside(path: Path, what_follows: str) -> None:
    """Give a damaged file another name, so that the run goes on and nothing is lost; it is said.

    Raises:
        DataError: If it cannot be renamed.
    """
    kept = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(kept)
    except OSError as error:
        raise DataError(f"{path} is damaged, and {error.strerror}; remove it.") from error
    logger.warning("note: %s is damaged, and is now %s: %s", path, kept.name, what_follows)


def _record(line: str) -> dict[str, object] | None:
    """A line of `metrics.jsonl`; None of what is no record."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    is_whole = (
        isinstance(record, dict)
        and all(type(record.get(key)) is int for key in ("epoch", "step"))
        and all(isinstance(record.get(key), dict) for key in ("losses", "scores", "class_iou"))
    )
    return record if is_whole else None


def _is_left_over(entry: Path) -> bool:
    """Whether an entry is what a run leaves that was killed before it wrote a file."""
    is_part = entry.name.startswith(".") and entry.name.endswith(".part")
    return is_part or (entry.name == "checkpoints" and entry.is_dir() and not any(entry.iterdir()))


def _differing(before: Recipe, now: Recipe) -> dict[str, str]:
    """What each key was and is, of those that differ and may not."""
    found = {
        key: f"{key} was {_shown(getattr(before, key))} and is {_shown(getattr(now, key))}"
        for key in Recipe.__dataclass_fields__
        if getattr(before, key) != getattr(now, key)
    }
    if now.epochs > before.epochs:  # a longer training of the same
        del found["epochs"]
        logger.warning(
            "note: epochs are raised from %d to %d: the schedule goes on as one of %d, so that the "
            "result is not that of a run which had them from the start",
            before.epochs,
            now.epochs,
            now.epochs,
        )
    return found


def _shown(value: object) -> str:
    return repr(dict(value) if isinstance(value, Mapping) else value)
