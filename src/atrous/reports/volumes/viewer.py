"""One scan as what a page's viewer draws: three planes to scroll through, outlines, errors."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.reports.volumes.layers import grey_sheet, packed
from atrous.reports.volumes.picture import middle
from atrous.types import UNLABELLED, Colour

MAX_CASE: Final = 4_800_000
"""Bytes of pictures in a page, which with style, script and tables stays below 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownCase:
    """A scan with its labels, and the truth where it is known."""

    name: str
    values: NDArray[np.float32]
    """`(C, D, H, W)`."""
    labels: NDArray[np.uint8]
    """`(D, H, W)` class indices."""
    truth: NDArray[np.uint8] | None = None
    """The same, 255 where unlabelled."""
    spacing: tuple[float, float, float]
    """Millimetres along D, H, W."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What the template `volume_viewer.html` takes."""

    name: str
    data: dict[str, object]
    """For its script."""
    rows: tuple[dict[str, object], ...]
    """Of its legend: class, colour, millilitres said and true."""
    has_truth: bool
    note: str
    """What was left out to keep the page small; maybe nothing."""


def viewer(
    case: ShownCase,
    *,
    channel_names: Sequence[str],
    class_names: Sequence[str],
    palette: Sequence[Colour],
    max_bytes: int = MAX_CASE,
) -> Viewer:
    """Pack one case.

    Args:
        case: The scan.
        channel_names: Of its channels.
        class_names: Of the labels; the first is not drawn.
        palette: Of the same.
        max_bytes: Of text that it may take.
    """
    layers = {"labels": packed(case.labels)}
    if case.truth is not None:
        layers["truth"] = packed(case.truth)
    left = max_bytes - sum(map(len, layers.values()))
    sheets = [grey_sheet(values, max_bytes=left // len(case.values)) for values in case.values]
    data: dict[str, object] = {
        "size": case.labels.shape,
        "spacing": case.spacing,
        "start": middle(case.labels if case.labels.any() or case.truth is None else case.truth),
        "channels": [
            {"name": name, **asdict(sheet)}
            for name, sheet in zip(channel_names, sheets, strict=True)
        ],
        "colours": [_css(colour) for colour in palette],
        **layers,
    }
    return Viewer(
        name=case.name,
        data=data,
        rows=_legend(case, class_names, palette),
        has_truth=case.truth is not None,
        note=_note(
            max(sheet.steps[1] for sheet in sheets), max(sheet.steps[0] for sheet in sheets)
        ),
    )


def _legend(
    case: ShownCase, class_names: Sequence[str], palette: Sequence[Colour]
) -> tuple[dict[str, object], ...]:
    """Every class but the first, with its volumes."""
    ml = prod(case.spacing) / 1000
    said = np.bincount(case.labels.ravel(), minlength=UNLABELLED + 1) * ml
    true = None if case.truth is None else np.bincount(case.truth.ravel(), minlength=256) * ml
    return tuple(
        {
            "index": index,
            "name": name,
            "colour": _css(palette[index]),
            "ml": float(said[index]),
            "truth_ml": None if true is None else float(true[index]),
        }
        for index, name in enumerate(class_names)
        if index
    )


def _note(in_plane: int, through: int) -> str:
    parts = []
    if in_plane > 1:
        parts.append(f"means over {in_plane} x {in_plane} voxels of every axial slice")
    if through > 1:
        parts.append(f"one axial slice in {through}")
    shown = " and ".join(parts)
    return f"To keep the page small the grey picture shows {shown}; outlines are whole." * bool(
        parts
    )


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
