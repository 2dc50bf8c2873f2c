"""run.json of a results folder: what its results depend on, so that they are never mixed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from atrous._files import write_text
from atrous.errors import DataError

Traces = Mapping[str, Mapping[str, str]]
"""By folder of edited pictures: what they depend on besides the weights."""

NOTE = "run.json"


def write_note(root: Path, *, name: str, weights: Path, edits: Traces, may_overwrite: bool) -> None:
    """Note which weights, and which edits, the results in a folder are of.

    Edits that were noted before stay noted, if they are of the same weights.

    Args:
        root: The results folder.
        name: Of the weights.
        weights: Their file.
        edits: Of this run.
        may_overwrite: Results of others will be done again.

    Raises:
        DataError: If the folder holds results of others, or the note cannot be written.
    """
    digest = sha256_of(weights)
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
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def sha256_of(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
