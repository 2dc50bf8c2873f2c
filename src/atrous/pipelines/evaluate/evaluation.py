"""The score of a network on a data set, as values, text and page."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a network scores on a data set, by which protocol.

    Attributes:
        record: Scores in percent and what they depend on, as JSON values; docs/json.md says which.
        lines: The same for people.
        page: The HTML page or folder of pages that was written, if one was asked for.
    """

    record: dict[str, Any]
    lines: tuple[str, ...]
    page: Path | None = None

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_json(self) -> str:
        """The record as text."""
        return json.dumps(self.record, indent=1)

    @property
    def protocol(self) -> str:
        """Name of the protocol by which the network is scored."""
        return str(self.record["protocol"])
