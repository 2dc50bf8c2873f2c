"""What results depend on: weights, options and each input's state, so that none is ever mixed."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from atrous._documents import read_json
from atrous._files import sha256_of, write_text
from atrous._journal import Journal
from atrous.errors import DataError

Traces = Mapping[str, Mapping[str, str]]
"""By folder of edited pictures: what they depend on besides the weights."""

NOTE = "run.json"
INPUTS = "inputs.jsonl"
"""Journal of a results folder: the state of each input when its results were written."""


class DoneInputs:
    """Which inputs of a results folder are done, and in which state each of them was.

    A context manager. An input that was changed or replaced since is not done.

    Args:
        root: The results folder.
        weights: SHA-256 of the weights that made the results.
        may_overwrite: Forget what was done by others.

    Raises:
        DataError: If the journal is of other weights, or cannot be written.
    """

    def __init__(self, root: Path, *, weights: str, may_overwrite: bool) -> None:
        path = root / INPUTS
        if may_overwrite:
            path.unlink(missing_ok=True)
        self._journal = Journal(path, run={"weights": weights})
        self._states = {str(r.get("name")): str(r.get("state")) for r in self._journal.records}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    def holds(self, name: str, state: str | None) -> bool:
        """Whether results of that name were made from an input in that state."""
        return state is not None and self._states.get(name) == state

    def add(self, name: str, state: str) -> None:
        """Note that the results of an input are written.

        Raises:
            DataError: If the journal cannot be written.
        """
        self._journal.add({"name": name, "state": state})
        self._states[name] = state


def input_state(path: Path) -> str | None:
    """A hash of the whole file, which tells it from a changed one; None if it is unreadable."""
    try:
        return sha256_of(path)
    except DataError:
        return None


def differing(known: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """The keys of what is wanted that are otherwise in what is known: the one rule of equality."""
    return [key for key in wanted if known.get(key) != json.loads(json.dumps(wanted[key]))]


def write_note(root: Path, *, name: str, weights: str, edits: Traces, may_overwrite: bool) -> None:
    """Note which weights, and which edits, the results in a folder are of.

    Edits that were noted before stay noted, if they are of the same weights.

    Args:
        root: The results folder.
        name: Name of the weights.
        weights: SHA-256 of the weights.
        edits: What the edited pictures of this run depend on.
        may_overwrite: Results of others will be done again.

    Raises:
        DataError: If the folder holds results of others, or the note cannot be written.
    """
    digest = weights
    path = root / NOTE
    before = _noted(path)
    is_same = before.get("sha256") == digest
    if path.is_file() and not is_same and not may_overwrite:
        raise DataError(
            f"{root} holds results of other weights (see {NOTE} there); give another folder, or "
            f"--overwrite."
        )
    noted = before.get("edits") if is_same else None
    earlier = noted if isinstance(noted, dict) else {}
    for folder, trace in edits.items():
        is_ours = earlier.get(folder) == dict(trace) or not _holds_files(root / folder)
        if not is_ours and not may_overwrite:
            raise DataError(
                f"{root / folder} holds pictures with another class in front, or before another "
                f"picture (see {NOTE} in {root}); give another folder, or --overwrite."
            )
    run: dict[str, object] = {"weights": name, "sha256": digest}
    if both := {**earlier, **edits}:
        run["edits"] = both
    write_text(path, json.dumps(run, indent=1) + "\n")


def _noted(path: Path) -> dict[str, object]:
    """What the note says; nothing if it is missing or broken."""
    try:
        run = read_json(path)
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
