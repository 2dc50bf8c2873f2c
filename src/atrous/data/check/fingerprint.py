"""Know a data set again without decoding it, so that what was found once is found once."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from atrous._documents import open_regular, read_json
from atrous._files import make_folder, write_text
from atrous.data.check.check import check_layout
from atrous.data.check.report import DataReport, from_record, to_record
from atrous.data.dataset import Dataset
from atrous.errors import DataError

_FORM: Final = 3
"""Of the kept reports; raised when the check finds more than it used to."""

_TAIL: Final = 4096
"""Bytes read from the end of every file: checksums of PNG and the last rows of JPEG lie there."""


def fingerprint(layout: Dataset, *, facts: Sequence[str] = ()) -> str:
    """A hash that changes when a file of the data set does; of each file only the end is read.

    It is over the samples' names and order, the names, sizes and last 4,096 bytes of their files,
    and the names of classes, labels, channels and regions; not over times or folders, so that data
    that were copied or unpacked anew, as onto a cluster node's own disk, are known again. A change
    in the middle of a file that keeps its length, without a checksum at its end, goes unseen;
    `DataReport.content` sees it.

    Args:
        layout: The data.
        facts: What else decides what is read from the files. Lists of samples, tables of labels and
            the file of a class map are known already.
    """
    digest = hashlib.blake2b(digest_size=16)
    masks = (layout.num_classes, layout.class_names) if layout.has_masks else None
    labels = (layout.label_names, layout.labels) if layout.has_labels else None
    volumes = _of_volumes(layout) if layout.kind == "volumes" else None
    digest.update(repr((_FORM, masks, labels, volumes, tuple(facts))).encode())
    states: dict[Path, str] = {}
    for index, name in enumerate(layout.names):
        files = layout.files(index)
        for path in files:
            if path not in states:  # some files, such as tables of labels, belong to many samples
                states[path] = file_state(path)
        digest.update(repr((name, [(path.name, states[path]) for path in files])).encode())
    return digest.hexdigest()


def _of_volumes(layout: Dataset) -> tuple[object, ...]:
    """What a layout of volumes says besides its files."""
    regions = sorted((name, tuple(members)) for name, members in layout.regions.items())
    return layout.num_classes, layout.class_names, layout.channel_names, regions


def file_state(path: Path) -> str:
    """Length of a file and a hash of its end, or why it cannot be read."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            end = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    except OSError as error:
        return f"{error.strerror}"
    return f"{size} {end}"


def _last_changes(layout: Dataset) -> str:
    """A hash over when the files of a data set were changed last."""
    digest = hashlib.blake2b(digest_size=16)
    paths = dict.fromkeys(path for index in range(len(layout)) for path in layout.files(index))
    for path in paths:
        try:
            digest.update(b"%d " % path.stat().st_mtime_ns)
        except OSError:
            digest.update(b"gone ")
    return digest.hexdigest()


def cached_check(
    layout: Dataset,
    folder: Path,
    *,
    against: Mapping[str, Dataset] | None = None,
    facts: Sequence[str] = (),
    num_workers: int = 2,
    advance: Callable[[], None] = lambda: None,
) -> DataReport:
    """As `check_layout`, but what was found is kept as `folder/data-KEY.json`.

    The key is over the fingerprint and the files' times of last change, so that a file that was
    altered where the fingerprint does not look is checked again.

    Args:
        layout: The data.
        folder: Where reports are kept; it is made if need be.
        against: Other splits by name, which should share no image with it.
        facts: As for `fingerprint`.
        num_workers: Threads that read ahead.
        advance: Called after every image that is read; never, if the report was kept.

    Raises:
        DataError: If the layout holds no sample.
    """
    others = against or {}
    prints = [
        f"{name} {fingerprint(other, facts=facts)} {_last_changes(other)}"
        for name, other in others.items()
    ]
    key = fingerprint(layout, facts=[*facts, *prints, _last_changes(layout)])
    path = folder / f"data-{key}.json"
    kept = _kept(path)
    if kept is not None:
        return kept
    report = check_layout(layout, against=others, num_workers=num_workers, advance=advance)
    with suppress(DataError):  # a cache that cannot be written in only costs the time again
        make_folder(folder)
        write_text(path, json.dumps(to_record(report)) + "\n")
    return report


def _kept(path: Path) -> DataReport | None:
    """The report in a file; None if there is none or it is damaged, so that it is made anew."""
    try:
        return from_record(read_json(path))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
