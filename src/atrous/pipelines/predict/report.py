"""What came of running a network on files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atrous.types import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictReport:
    """What was written where, and what could not be run.

    Attributes:
        kind: What the files were.
        out: Folder of the results.
        record: The results as JSON values, as docs/json.md says.
        lines: The same for people.
        errors: Why a file was left out, by its path.
    """

    kind: Kind
    out: Path
    record: dict[str, Any]
    lines: tuple[str, ...] = ()
    errors: Mapping[Path, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_json(self) -> str:
        """The record as text."""
        return json.dumps(self.record, indent=1)


def one_line(error: Exception) -> str:
    """An error's message on one line, whatever a file name in it holds."""
    return " ".join(str(error).split())
