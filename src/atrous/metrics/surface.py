"""How far apart the surfaces of two shapes lie, in millimetres.

A shape's surface are its voxels with a face neighbour outside it; beyond the grid all is outside.
Distances run from voxel centre to voxel centre, exactly.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from atrous.errors import ShapeError

_LEAF: Final = 32
"""Points in a leaf of the tree: it is asked once, so building it counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurfaceDistances:
    """From every voxel of one surface to the nearest of the other, both ways, mm."""

    from_truth: NDArray[np.float64]
    """Empty where either shape is."""
    from_prediction: NDArray[np.float64]


def surface_distances(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], *, spacing: tuple[float, ...]
) -> SurfaceDistances:
    """Distances between the surfaces of two shapes on one grid.

    Args:
        truth: `(*S)`.
        prediction: `(*S)`.
        spacing: Millimetres from voxel to voxel along each axis.

    Raises:
        ShapeError: If the shapes' arrays or the spacing do not fit one another.
    """
    if truth.shape != prediction.shape or truth.ndim != len(spacing):
        raise ShapeError(
            f"The shapes are of {truth.shape} and {prediction.shape} voxels, the spacing of "
            f"{len(spacing)} axes; expected one grid; resample one to the other."
        )
    window = _around(truth | prediction)
    points = [
        np.argwhere(_surface(shape[window])) * np.asarray(spacing) for shape in (truth, prediction)
    ]
    if not all(map(len, points)):
        nothing = np.empty(0)
        return SurfaceDistances(from_truth=nothing, from_prediction=nothing)
    return SurfaceDistances(
        from_truth=KDTree(points[1], leafsize=_LEAF).query(points[0])[0],
        from_prediction=KDTree(points[0], leafsize=_LEAF).query(points[1])[0],
    )


def hausdorff(distances: SurfaceDistances, *, percentile: float = 95) -> float:
    """The larger of both directions' percentile, mm; not-a-number where a shape is empty.

    Other programs take the percentile of both directions pooled, and give other numbers.

    Source: the evaluation of BraTS, and MONAI's `compute_hausdorff_distance`.
    """
    if not len(distances.from_truth):
        return float("nan")
    both = (distances.from_truth, distances.from_prediction)
    return max(float(np.percentile(one, percentile)) for one in both)


def surface_dice(distances: SurfaceDistances, *, tolerance: float) -> float:
    """Part of both surfaces that lies within `tolerance` mm of the other.

    Not-a-number where a shape is empty. Every voxel of a surface counts the same, as by default in
    MONAI; the paper weighs them by area.

    Source: Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy for
        Radiotherapy", JMIR 2021.
    """
    both = np.concatenate([distances.from_truth, distances.from_prediction])
    return float((both <= tolerance).mean()) if len(both) else float("nan")


def _around(shape: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds a shape; all of the grid if it is empty."""
    found = ndimage.find_objects(shape.astype(np.uint8))
    return found[0] if found else (slice(None),) * shape.ndim


def _surface(shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return shape & ~ndimage.binary_erosion(shape)
