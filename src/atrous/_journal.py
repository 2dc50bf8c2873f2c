"""Append-only journal of what is done, so that a killed run goes on where it stood."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from atrous._files import write_text
from atrous.errors import DataError

_FORM: Final = 1


class Journal:
    """An append-only file of records, each with its checksum; a torn end is cut off.

    The first line says which run it is of. A context manager.

    Args:
        path: Its file; begun anew if it is not there, or if its first line is torn.
        run: What the results depend on: JSON values.

    Raises:
        DataError: If it is of another run, or cannot be written.
    """

    def __init__(self, path: Path, *, run: Mapping[str, object]) -> None:
        self.path = path
        head = {"form": _FORM, **run}
        lines = list(_whole_lines(path))
        if not lines:
            write_text(path, _line(head))
            lines = [(head, len(_line(head).encode()))]
        if lines[0][0] != json.loads(json.dumps(head)):
            differing = _differing(lines[0][0], head)
            raise DataError(
                f"{path.parent} holds the beginning of another run (it differs in {differing}); "
                "give the same command, another folder, or --overwrite."
            )
        self.records = [record for record, _ in lines[1:]]
        try:
            self._file = path.open("r+b")
            self._file.truncate(lines[-1][1])
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise _not_written(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, record: Mapping[str, object]) -> None:
        """Write one more record; it is on the disk when this returns.

        Raises:
            DataError: If it cannot be written.
        """
        try:
            self._file.write(_line(record).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _not_written(self.path, error) from error


def _line(record: Mapping[str, object]) -> str:
    text = json.dumps(record, sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def _whole_lines(path: Path) -> Iterator[tuple[dict[str, object], int]]:
    """Records up to the first torn one, and where each ends."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    end = 0
    for line in data.splitlines(keepends=True):
        checksum, _, text = line.partition(b" ")
        is_whole = line.endswith(b"\n") and checksum == b"%08x" % zlib.crc32(text.rstrip(b"\n"))
        if not is_whole:
            return
        record = json.loads(text)
        if not isinstance(record, dict):  # written by none of us
            return
        end += len(line)
        yield record, end


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    keys = [key for key in now if before.get(key) != json.loads(json.dumps(now[key]))]
    return ", ".join(keys) or "its form"


def _not_written(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} could not be written: {error.strerror or error}; make room there or give another "
        "folder, and run again: what is done is kept."
    )
