"""What the results of slides are called: the same, whatever else is run with them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from atrous._documents import read_json
from atrous.data.check.fingerprint import file_state
from atrous.reports.manifest import NOTE


def slide_names(paths: Sequence[Path], out: Path) -> dict[Path, str]:
    """One folder name a slide: its stem or, where slides share one, their folders before it.

    A slide whose results lie under its stem already keeps it, so that a slide which comes to a
    cohort later renames none. Names that differ in case alone count as the same.

    Args:
        paths: The slides, each once.
        out: Where results may lie already.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[path.stem.casefold()].append(path)
    names: dict[Path, str] = {}
    for alike in by_stem.values():
        known = [path for path in alike if len(alike) > 1 and _is_done(path, out / path.stem)]
        kept = known if len(known) == 1 else []
        names |= {path: path.stem for path in (kept or (alike if len(alike) == 1 else []))}
        names |= _told_apart([path for path in alike if path not in names])
    return {path: names[path] for path in paths}


def _is_done(path: Path, folder: Path) -> bool:
    """Whether a folder holds results of this very file."""
    try:
        note = read_json(folder / NOTE)
        return bool(note["slide"]["state"] == file_state(path))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return False


def _told_apart(paths: Sequence[Path]) -> dict[Path, str]:
    """As many folders before each name as it takes, at least one; or the whole file name."""
    whole = {path: path.absolute() for path in paths}
    folders = {absolute.parent for absolute in whole.values()}
    if len(folders) < len(paths):
        by_name = {path: path.name for path in paths}
        if len({name.casefold() for name in by_name.values()}) == len(paths):
            return by_name
    ends = {path: path.stem if len(folders) == len(paths) else path.name for path in paths}
    deepest = max((len(absolute.parts) for absolute in whole.values()), default=0)
    names: dict[Path, str] = {}
    for depth in range(1, deepest + 1):
        names = {
            path: "-".join((*absolute.parent.parts[1:][-depth:], ends[path]))
            for path, absolute in whole.items()
        }
        if len({name.casefold() for name in names.values()}) == len(paths):
            break
    return names
