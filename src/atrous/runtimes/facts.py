"""What stands in an exported file besides the graph: the card, the signature, versions."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous._documents import parse_json
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.runtimes.graph import Signature

_PACKAGES: Final = ("atrous", "torch", "onnx", "onnxscript", "onnxruntime", "openvino")
KEY: Final = "atrous"
"""Where in a file's metadata the facts lie, as JSON."""
FORMAT: Final = 1
"""Raised when a file of this version cannot be read by older ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """Facts of an exported file.

    Attributes:
        card: Of the network.
        signature: What the graph takes and gives.
        source_sha256: Of the weights file that it was exported from.
        versions: Of the packages that made it, by name.
    """

    card: Card
    signature: Signature
    source_sha256: str
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> str:
        """As JSON, to be read back by `facts_from_json`."""
        size = self.signature.size
        return json.dumps(
            {
                "format": FORMAT,
                "takes": self.signature.takes,
                "gives": self.signature.gives,
                "size": None if size is None else list(size),
                "source_sha256": self.source_sha256,
                "versions": dict(self.versions),
                "card": json.loads(self.card.to_json()),
            },
            ensure_ascii=False,
        )


def facts_from_json(text: str | None, path: Path) -> ExportFacts:
    """The facts of an exported file.

    Args:
        text: What its metadata hold; None for nothing.
        path: The file, for messages.

    Raises:
        DataError: If there are none, or they are no such facts or of a later format.
    """
    if text is None:
        raise DataError(
            f"{path} holds a graph but no card, so neither its classes nor its preprocessing are "
            "known; expected a file that `atrous export` wrote; export it from its weights."
        )
    try:
        record = parse_json(text)
        if record["format"] != FORMAT:
            raise DataError(
                f"{path} is of format {record['format']}; expected {FORMAT}; update atrous, or "
                "export the network again."
            )
        size = record["size"]
        return ExportFacts(
            card=Card.from_json(json.dumps(record["card"])),
            signature=Signature(
                takes=record["takes"],
                gives=record["gives"],
                size=None if size is None else tuple(int(length) for length in size),
            ),
            source_sha256=str(record["source_sha256"]),
            versions={str(name): str(version) for name, version in record["versions"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: its card cannot be read ({type(error).__name__}: {error}); expected what "
            "`atrous export` wrote; export the network again."
        ) from error


def versions_here() -> dict[str, str]:
    """Versions of the packages that make and run graphs, of those that are installed."""
    found = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
