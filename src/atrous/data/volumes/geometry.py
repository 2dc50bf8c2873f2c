"""Volumes inside the library: one orientation whatever their files' own, and the way back to it.

Axes are `(D, H, W)`: D runs from the feet to the head (inferior to superior), H from the back to
the front (posterior to anterior), W from the patient's left to the right, each along the file's
axis that is nearest to it. So `array[0, d]` is an axial slice, and the last axis is NIfTI's first
where the file is RAS already. Nothing is interpolated for it: axes are only exchanged and reversed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from atrous.errors import DataError, ShapeError
from atrous.types import Size

Affine: TypeAlias = tuple[tuple[float, ...], ...]
"""Four rows of four: from indices along a file's axes, and 1, to millimetres right, anterior,
superior, and 1; in the file's own unit of length."""

T = TypeVar("T", bound=np.generic)

SAME_PLACE: Final = 0.1
"""Grids are one if their corners lie within this share of a voxel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGeometry:
    """Where a file's voxels lie in the world, and all that writes another file just like it."""

    header: bytes
    """The file's own header: 348 bytes of NIfTI-1 or 540 of NIfTI-2, in the file's byte order."""
    version: int
    """Of NIfTI: 1 or 2."""
    shape: tuple[int, int, int]
    """Voxels along the three axes of the file, in its order."""
    affine: Affine
    """From indices along the file's axes to the world, by its sform, else its qform."""
    sform_code: int
    qform_code: int
    unit: str
    """Of the affine: `mm`, `meter`, `micron` or `unknown`, which is taken for mm."""
    axes: tuple[int, int, int]
    """The file's axis that each of D, H, W is."""
    is_reversed: tuple[bool, bool, bool]
    """Whether D, H, W run against it."""

    @property
    def size(self) -> Size:
        """`(D, H, W)`."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from voxel to voxel along D, H, W."""
        lengths = np.linalg.norm(np.asarray(self.affine)[:3, :3], axis=0) * MM_PER_UNIT[self.unit]
        d, h, w = (float(lengths[axis]) for axis in self.axes)
        return d, h, w

    @property
    def orientation(self) -> str:
        """Where the file's axes lead, such as `LPS`: first to the left, then back, then up."""
        ends = zip(self.axes, self.is_reversed, ("SI", "AP", "RL"), strict=True)
        letter = {axis: ahead_and_back[is_reversed] for axis, is_reversed, ahead_and_back in ends}
        return "".join(letter[axis] for axis in range(3))

    @property
    def canonical_affine(self) -> NDArray[np.float64]:
        """`(4, 4)`: from indices along D, H, W, and 1, to the world, in the file's unit."""
        step, origin = np.eye(4)[:, :3] * 0, np.array([0.0, 0.0, 0.0, 1.0])
        for i, (axis, is_reversed) in enumerate(zip(self.axes, self.is_reversed, strict=True)):
            step[axis, i] = -1 if is_reversed else 1
            origin[axis] = self.shape[axis] - 1 if is_reversed else 0
        return np.asarray(self.affine) @ np.column_stack([step, origin])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """A scan: its channels on one grid, in the orientation that this module's docstring tells."""

    array: NDArray[np.float32]
    """`(C, D, H, W)`, the file's own values."""
    spacing: tuple[float, float, float]
    """Millimetres from voxel to voxel along D, H, W."""
    geometry: VolumeGeometry
    """Of the file, the first of several."""


MM_PER_UNIT: Final = {"unknown": 1.0, "meter": 1000.0, "mm": 1.0, "micron": 0.001}


def to_canonical(values: NDArray[T], geometry: VolumeGeometry) -> NDArray[T]:
    """A view `(*C, D, H, W)` of values in the file's order of axes, `(*C, *shape)`."""
    extra = values.ndim - 3
    order = [*range(extra), *(extra + axis for axis in geometry.axes)]
    return values.transpose(order)[(slice(None),) * extra + _steps(geometry.is_reversed)]


def from_canonical(values: NDArray[T], geometry: VolumeGeometry) -> NDArray[T]:
    """A view in the file's order of axes, `shape`, of values `(D, H, W)`.

    Raises:
        ShapeError: If there are other than the file's voxels.
    """
    if values.shape != geometry.size:
        raise ShapeError(
            f"The values have the size {tuple(values.shape)} (D, H, W), but the scan has "
            f"{geometry.size}; expected one value a voxel; undo crops and resampling first."
        )
    straight = values[_steps(geometry.is_reversed)]
    return straight.transpose(np.argsort(geometry.axes))


def check_same_grid(path: Path, found: VolumeGeometry, *, of: Path, like: VolumeGeometry) -> None:
    """See that two files hold the same places, whatever their own order of axes.

    Raises:
        DataError: If they differ in size, or if a corner lies elsewhere.
    """
    if found.size != like.size:
        raise DataError(
            f"{path}: {_in_words(found.size)} voxels (D x H x W), but {of.name} has "
            f"{_in_words(like.size)}; expected the same grid; resample one to the other."
        )
    corners = np.array(
        [
            (d, h, w, 1)
            for d in (0, found.size[0] - 1)
            for h in (0, found.size[1] - 1)
            for w in (0, found.size[2] - 1)
        ]
    )
    ours, theirs = (
        (geometry.canonical_affine @ corners.T)[:3] * MM_PER_UNIT[geometry.unit]
        for geometry in (found, like)
    )
    furthest = float(np.linalg.norm(ours - theirs, axis=0).max())
    if furthest > SAME_PLACE * min(like.spacing):
        raise DataError(
            f"{path}: lies up to {furthest:.3g} mm away from {of.name}, by their affines; expected "
            "the same grid; register and resample one to the other, or mend its header."
        )


def _steps(is_reversed: tuple[bool, bool, bool]) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1) if against else slice(None) for against in is_reversed)


def _in_words(size: Size) -> str:
    return " x ".join(map(str, size))
