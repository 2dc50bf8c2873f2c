"""One process at a time for each slide, on any file system that several machines share."""

import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from atrous._documents import read_json
from atrous.errors import DataError

BEAT: Final = 20.0
"""Seconds after which the holder shows that it is alive."""
STALE: Final = 180.0
"""Seconds without such a sign after which it is taken for dead."""


class LockedError(DataError):
    """Another process holds the lock."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock that `path` is while the block runs.

    The file is made in one step that fails where it exists, which holds over NFS too. A lock whose
    process is dead (on this machine), or gave no sign for three minutes (on another), is taken.
    Where a file system has no hard links (exFAT, some network mounts), making the file and filling
    it in are two steps, of which the first decides.

    Args:
        path: The file of the lock; removed at the end.

    Raises:
        LockedError: If another process holds it.
        DataError: If it cannot be made.
    """
    token = secrets.token_hex(8)
    if not _make(path, token):
        _take_away_if_stale(path)
        if not _make(path, token):
            raise LockedError(f"{path.parent} is being worked on by {_holder(path)}.")
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), name="lock", daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        if _record(path).get("token") == token:
            with suppress(OSError):
                path.unlink()


def _make(path: Path, token: str) -> bool:
    """Whether the lock is ours now."""
    record = {"host": socket.gethostname(), "process": os.getpid(), "token": token}
    part = path.with_name(f".{path.name}.{token}")
    try:
        # A link is made in one step with all its text, where opening and writing would be two.
        part.write_text(json.dumps(record), encoding="utf-8")
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if part.exists() and _has_no_links(error):
            return _make_in_two_steps(path, record)
        raise _not_made(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return True


def _has_no_links(error: OSError) -> bool:
    return error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def _make_in_two_steps(path: Path, record: dict[str, object]) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(record))
    except FileExistsError:
        return False
    except OSError as error:
        raise _not_made(path, error) from error
    return True


def _not_made(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} could not be made: {error.strerror or error}; give another folder.")


def _take_away_if_stale(path: Path) -> None:
    found = _record(path)
    if not path.exists() or not _is_stale(path, found):
        return
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with suppress(OSError):  # somebody else was first
        path.rename(aside)
        if _record(aside).get("token") != found.get("token"):  # a fresh one: back with it
            _put_back(aside, path)
    with suppress(OSError):
        aside.unlink()


def _put_back(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except OSError as error:
        if not _has_no_links(error):
            raise
        aside.rename(path)


def _is_stale(path: Path, found: dict[str, object]) -> bool:
    if found.get("host") == socket.gethostname():
        try:
            os.kill(int(str(found.get("process"))), 0)
        except ProcessLookupError:
            return True
        except (PermissionError, ValueError):
            pass
    return _age(path) > STALE


def _age(path: Path) -> float:
    """Seconds since its last sign, by the clock of the file system that holds it."""
    probe = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with suppress(OSError):
            probe.unlink()


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _record(path: Path) -> dict[str, object]:
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _holder(path: Path) -> str:
    record = _record(path)
    if not record:
        return "another process"
    age = time.time() - path.stat().st_mtime if path.exists() else 0
    held = f"process {record.get('process')} on {record.get('host')} (last sign {age:.0f} s ago)"
    return f"{held}; a lock without a sign for {STALE:.0f} s is taken over"
