"""What every layout gives and every pipeline takes: one image and what is known of it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image (or volume) and what is known of it."""

    name: str
    """Unique in its dataset; stable between runs; used for output file names."""
    image: Tensor
    """`(C, *S)` float32: images in [0, 1], RGB where C is 3; volumes with the scan's own values."""
    mask: Tensor | None = None
    """`(*S)` int64 class indices; 255 where unlabelled."""
    label: int | None = None
    """Class index of the whole image."""
    spacing: tuple[float, ...] | None = None
    """Physical size of a pixel or voxel along each axis of S: mm for volumes, µm for slides."""
