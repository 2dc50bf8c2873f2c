"""What must travel with a network of volumes: how scans become its input, and labels a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal, TypeAlias, get_args

from atrous.errors import DataError
from atrous.types import Size

Crop: TypeAlias = Literal["none", "nonzero"]
Outside: TypeAlias = Literal["zero", "lowest"]
Normalise: TypeAlias = Literal["none", "min_max", "z_score"]
Interpolate: TypeAlias = Literal["linear", "cubic"]
Range: TypeAlias = tuple[float, float]
Ranges: TypeAlias = tuple[Range, Range, Range]
"""Least and most along D, H, W."""

_FAR: Final = 1.5
"""A scan that is longer or shorter than all of training by this factor is another kind of scan."""
_COARSE: Final = 1.5
"""The same of spacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """Facts of a card whose network takes scans.

    They are done in this order: crop, clip values, normalise, resample.

    Example:
        >>> VolumeSpec(channel_names=("t1",), normalise="z_score").crop
        'none'
    """

    channel_names: tuple[str, ...]
    """What the network's channels are, in order, such as `flair` and `t1ce`."""
    crop: Crop = "none"
    """`nonzero`: to the box of the voxels that are inside in some channel; 0 is said outside it."""
    outside: Outside = "zero"
    """What a channel has around the head: 0, or the lowest of its values, as scans have that were
    normalised before. All other voxels are inside."""
    clip_values: tuple[float, float] | None = None
    """Values beyond these two become the nearer of them: a window of CT, in Hounsfield units."""
    normalise: Normalise = "none"
    """Each channel of each scan by itself: to [0, 1], or to mean 0 and deviation 1."""
    is_inside: bool = False
    """The statistics are those of the voxels inside, and all others become 0."""
    spacing: tuple[float, float, float] | None = None
    """Millimetres along D, H, W that the scan is resampled to; None to keep its own."""
    interpolation: Interpolate = "linear"
    """Of the scan; classes come back by the linearly interpolated logits."""
    window: Size | None = None
    """`(D, H, W)` of what training saw: the window where a scan is run in blended parts."""
    flip_axes: tuple[int, ...] = ()
    """Axes along which training mirrored (0 is D, 1 is H, 2 is W), and a mean over mirrored scans
    makes sense."""
    working_sizes: tuple[Size, ...] = ()
    """Sizes that the network also works at, where it takes `working_size`; logits are averaged."""
    largest_only: tuple[str, ...] = ()
    """Classes, of which only the largest connected part is kept."""
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Unions of classes that are scored, by name; of none, every class but the first is."""
    label_values: tuple[int, ...] = ()
    """What is written for every class; empty for its index."""
    seen_extent: Ranges | None = None
    """Shortest and longest training scan along D, H, W as the network was fed it, mm."""
    seen_spacing: Ranges | None = None
    """Finest and coarsest spacing of the training files along D, H, W, mm."""

    def __post_init__(self) -> None:
        spacing = self.spacing or (1.0, 1.0, 1.0)
        problems = {
            "no channel names": not self.channel_names,
            f"crop {self.crop!r}": self.crop not in get_args(Crop),
            f"outside {self.outside!r}": self.outside not in get_args(Outside),
            f"normalise {self.normalise!r}": self.normalise not in get_args(Normalise),
            f"interpolation {self.interpolation!r}": self.interpolation
            not in get_args(Interpolate),
            f"spacing {self.spacing}": len(spacing) != 3
            or not all(isfinite(step) and step > 0 for step in spacing),
            f"clip values {self.clip_values}": self.clip_values is not None
            and not (len(self.clip_values) == 2 and self.clip_values[0] < self.clip_values[1]),
            f"window {self.window}": self.window is not None
            and (len(self.window) != 3 or min(self.window) < 1),
            f"flip axes {self.flip_axes}": len(set(self.flip_axes)) != len(self.flip_axes)
            or not set(self.flip_axes) <= {0, 1, 2},
            f"label values {self.label_values}": len(set(self.label_values))
            != len(self.label_values)
            or not all(0 <= value <= 255 for value in self.label_values),
        }
        problems |= {
            f"{name} {found}": found is not None
            and (len(found) != 3 or not all(0 < low <= high for low, high in found))
            for name, found in (("extent", self.seen_extent), ("spacing", self.seen_spacing))
        }
        for problem, is_so in problems.items():
            if is_so:
                raise DataError(f"Volume facts with {problem} are not possible; mend the card.")

    def unlike_training(
        self, size: Size, spacing: Sequence[float], *, file_spacing: Sequence[float]
    ) -> list[str]:
        """How a scan lies outside of what training saw, in words; nothing where it does not.

        Args:
            size: `(D, H, W)` as the network is fed it.
            spacing: Of that, mm.
            file_spacing: Of the file, mm.

        Example:
            >>> seen = ((30.0, 50.0),) * 3
            >>> spec = VolumeSpec(channel_names=("t1",), seen_extent=seen)
            >>> spec.unlike_training((180, 40, 40), (1, 1, 1), file_spacing=(1, 1, 1))
            ['it is 180 mm along D, and training saw 30 to 50 mm']
        """
        extents = [n * step for n, step in zip(size, spacing, strict=True)]
        found = [
            f"it is {value:.4g} mm along {axis}, and training saw {low:.4g} to {high:.4g} mm"
            for axis, value, (low, high) in zip(
                "DHW", extents, self.seen_extent or (), strict=False
            )
            if value > high * _FAR or value < low / _FAR
        ]
        return found + [
            f"its voxels are {step:.3g} mm along {axis}, and training's {low:.3g} to {high:.3g} mm"
            for axis, step, (low, high) in zip(
                "DHW", file_spacing, self.seen_spacing or (), strict=False
            )
            if step > high * _COARSE or step < low / _COARSE
        ]
