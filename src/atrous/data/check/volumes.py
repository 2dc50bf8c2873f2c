"""What a data set of volumes is like: spacing, orientation, size, values, and volumes by class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from atrous.data.volumes.geometry import Volume
from atrous.types import Size

Spacing: TypeAlias = tuple[float, float, float]
K = TypeVar("K", str, Spacing)

_DIGITS: Final = 3
"""Of spacings, mm: what differs by less is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSummary:
    """What was found in one scan besides its voxels' classes."""

    spacing: Spacing
    """mm along D, H, W, to a micrometre."""
    orientation: str
    """Of the file's axes, such as `LPS`."""
    ranges: tuple[tuple[float, float], ...]
    """Lowest and highest value of each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassVolume:
    """Volume of a class over the cases that have it, millilitres; zeros where none has."""

    smallest: float
    median: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSurvey:
    """What was found in all scans that could be read."""

    spacings: tuple[tuple[Spacing, int], ...]
    """With how many cases have it, most frequent first."""
    orientations: tuple[tuple[str, int], ...]
    smallest: Size
    """Along each of D, H, W by itself, and so the next two."""
    median: Size
    largest: Size
    channel_names: tuple[str, ...]
    """Numbered where the layout names none."""
    ranges: tuple[tuple[float, float, float], ...]
    """By channel: the lowest value of all cases, the median of their highest, the highest."""
    class_ml: tuple[ClassVolume, ...]


def summarise_scan(volume: Volume) -> ScanSummary:
    """The facts of one scan."""
    d, h, w = (round(step, _DIGITS) for step in volume.spacing)
    return ScanSummary(
        spacing=(d, h, w),
        orientation=volume.geometry.orientation,
        ranges=tuple((float(values.min()), float(values.max())) for values in volume.array),
    )


def survey(
    looks: Sequence[ScanSummary],
    sizes: Sequence[Size],
    class_voxels: NDArray[np.int64],
    *,
    channel_names: tuple[str, ...] | None,
) -> VolumeSurvey:
    """All scans in one.

    Args:
        looks: Of each, at least one.
        sizes: Of each, `(D, H, W)`.
        class_voxels: `(N, num_classes)`.
        channel_names: Where the layout names them.
    """
    shapes = np.array(sizes)
    num_channels = min(len(look.ranges) for look in looks)
    values = np.array([look.ranges[:num_channels] for look in looks])
    lowest, highest = values[..., 0], values[..., 1]
    ml = class_voxels * np.array([[prod(look.spacing) / 1000] for look in looks])
    return VolumeSurvey(
        spacings=_counted(look.spacing for look in looks),
        orientations=_counted(look.orientation for look in looks),
        smallest=tuple(shapes.min(axis=0).tolist()),
        median=tuple(np.rint(np.median(shapes, axis=0)).astype(int).tolist()),
        largest=tuple(shapes.max(axis=0).tolist()),
        channel_names=channel_names or tuple(f"channel {i}" for i in range(num_channels)),
        ranges=tuple(
            (float(lowest[:, i].min()), float(np.median(highest[:, i])), float(highest[:, i].max()))
            for i in range(num_channels)
        ),
        class_ml=tuple(_class_volume(column[column > 0]) for column in ml.T),
    )


def spacing_text(spacing: Sequence[float]) -> str:
    """A spacing for people.

    Example:
        >>> spacing_text((5.0, 0.9375, 0.9375))
        '5 x 0.9375 x 0.9375'
    """
    return " x ".join(f"{step:g}" for step in spacing)


def survey_from_record(record: Mapping[str, Any]) -> VolumeSurvey:
    """What `survey_record` made plain.

    Raises:
        KeyError, TypeError: If the record is another.
    """
    size, channels = record["size"], record["channels"]
    return VolumeSurvey(
        spacings=tuple(((*entry["spacing"],), entry["volumes"]) for entry in record["spacings"]),
        orientations=tuple(
            (entry["orientation"], entry["volumes"]) for entry in record["orientations"]
        ),
        smallest=tuple(size["smallest"]),
        median=tuple(size["median"]),
        largest=tuple(size["largest"]),
        channel_names=tuple(entry["name"] for entry in channels),
        ranges=tuple(
            (entry["lowest"], entry["median_highest"], entry["highest"]) for entry in channels
        ),
        class_ml=tuple(ClassVolume(**entry) for entry in record["class_ml"]),
    )


def survey_record(found: VolumeSurvey) -> dict[str, Any]:
    """As plain values for JSON, as docs/json.md promises them."""
    return {
        "spacings": [{"spacing": list(s), "volumes": count} for s, count in found.spacings],
        "orientations": [{"orientation": o, "volumes": count} for o, count in found.orientations],
        "size": {
            "smallest": list(found.smallest),
            "median": list(found.median),
            "largest": list(found.largest),
        },
        "channels": [
            {"name": name, "lowest": lowest, "median_highest": usual, "highest": highest}
            for name, (lowest, usual, highest) in zip(
                found.channel_names, found.ranges, strict=True
            )
        ],
        "class_ml": [asdict(ml) for ml in found.class_ml],
    }


def _counted(values: Iterable[K]) -> tuple[tuple[K, int], ...]:
    return tuple(sorted(Counter(values).items(), key=lambda entry: (-entry[1], entry[0])))


def _class_volume(ml: NDArray[np.float64]) -> ClassVolume:
    if not len(ml):
        return ClassVolume(smallest=0.0, median=0.0, largest=0.0)
    return ClassVolume(
        smallest=round(float(ml.min()), 4),
        median=round(float(np.median(ml)), 4),
        largest=round(float(ml.max()), 4),
    )
