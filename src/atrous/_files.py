"""Write files so that a reader finds the whole of them or nothing."""

import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from atrous._documents import open_regular
from atrous.errors import DataError

_NO_LINKS: Final = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""How file systems say that they have no hard links."""


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Give an open file; what is written to it becomes `path` at the end, in one step.

    The bytes reach the disk before the name does, so that a crash, a full disk or `kill -9` leaves
    the old file or none, never half of one. On Linux the file has no name until it is whole; where
    the file system cannot do that, a killed process may leave a hidden `.NAME.….part`.

    Raises:
        DataError: If the file cannot be written; the message says why.
    """
    start = os.fsencode(path.name)[:100].decode("utf-8", "ignore")
    part = path.with_name(f".{start}.{secrets.token_hex(4)}.part")
    try:
        descriptor, is_named = _open_unnamed(path.parent, part)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            if not is_named:
                _name(descriptor, part)
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}; "
            f"give another place or make room there."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def write_text(path: Path, text: str, *, errors: str = "backslashreplace") -> None:
    """Write UTF-8 text atomically; bytes of a file's name that are no UTF-8 as `errors` says."""
    with write_atomically(path) as file:
        file.write(text.encode("utf-8", errors))


_LONGEST_NAME: Final = 255
"""Bytes of a file's name, on all usual file systems."""
_ROOM: Final = 40
"""Bytes for the suffixes of results, and for what tells temporary files apart."""


def short_name(name: str) -> str:
    """A name that leaves room for the suffixes of results; of a long one a part, and a hash of all.

    Example:
        >>> short_name("portrait"), len(short_name("x" * 250))
        ('portrait', 215)
    """
    encoded = os.fsencode(name)
    most = _LONGEST_NAME - _ROOM
    if len(encoded) <= most:
        return name
    mark = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
    return encoded[: most - len(mark)].decode("utf-8", "ignore") + mark


def sha256_of(path: Path) -> str:
    """The file's SHA-256, hexadecimal.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; check the path."
        ) from error


def check_place(path: Path) -> None:
    """See that a file could be written at `path`, before the work that it is for.

    Raises:
        DataError: If its folder is missing or cannot be written in, or `path` is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected the name of a file; add one.")
    if not path.parent.is_dir():
        raise DataError(f"{path.parent} is no folder, so {path.name} cannot be written; make it.")
    make_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless they are there, and see that it can be written in.

    Raises:
        DataError: If it cannot be made or not be written in.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise DataError(
            f"{path} cannot be written in: {error.strerror or error}; give another folder."
        ) from error
    _remove_parts(path)


_PART: Final = re.compile(r"\..*\.[0-9a-f]{8}\.part")
_PART_AGE: Final = 3600.0
"""Seconds after which a file that was never named is nobody's: writing one takes far less."""


def _remove_parts(folder: Path) -> None:
    """Take away what killed processes left between writing and naming."""
    for path in folder.iterdir():
        if _PART.fullmatch(path.name):
            with suppress(OSError):  # another process has done it, or may not
                if time.time() - path.stat().st_mtime > _PART_AGE:
                    path.unlink()


def _name(descriptor: int, part: Path) -> None:
    """Give an unnamed file a name: a link or, where there are no links, a copy."""
    try:
        _link(descriptor, part)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "rb") as source, part.open("xb") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())


def _link(descriptor: int, part: Path) -> None:
    folder = os.open(part.parent, os.O_RDONLY)
    try:
        # The folder's descriptor makes Python call linkat(2), the only call that follows the link.
        os.link(f"/proc/self/fd/{descriptor}", part.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _open_unnamed(folder: Path, part: Path) -> tuple[int, bool]:
    """A descriptor open for writing, and whether it is named `part` already."""
    flag = getattr(os, "O_TMPFILE", 0)
    if flag and Path("/proc/self/fd").is_dir():
        with suppress(OSError):  # the file system has no unnamed files; a real fault shows below
            return os.open(folder, flag | os.O_RDWR, 0o666), False
    return os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666), True
