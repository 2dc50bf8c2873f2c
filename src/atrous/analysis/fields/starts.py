"""Whether the fields in the middle of a larger image speak for the image asked for, everywhere."""

from fractions import Fraction

import numpy as np

from atrous.analysis.fields.axes import FAR, Axis, Shape, align
from atrous.analysis.fields.dependence import Dependence
from atrous.analysis.fields.field import Field, main_dims, middle_rows, widest

_FINEST = 1 << 12  # denominator of a jump


def begins_here(
    dep: Dependence, shape: Shape, axes: tuple[Axis, ...], axis: int, larger: Field
) -> bool:
    """Whether a map's own fields lie where the jump and the start of a larger run say.

    They do not where a map is reversed, or begins in the middle of the image: output 0 then sees
    another place of an image of another length. All outputs that no border touches are compared;
    where there are none, the middle one must lie within what is said.

    Args:
        dep: Dependence of the map at the size asked for.
        shape: Shape of the map.
        axes: The input axes of that run.
        axis: Which of them is looked at.
        larger: The field of the same map in a larger run.
    """
    jump, start, size = larger.jump[axis], larger.start[axis], larger.size[axis]
    dims = main_dims(dep, shape, axes)
    dim = dims[axis]
    if jump is None or start is None or dim is None:
        return True
    step = Fraction(jump).limit_denominator(_FINEST)
    rows = middle_rows(axes[axis], align(dep.axes[axis], len(shape)), dim, dims)
    at = np.arange(0, len(rows), step.denominator)  # outputs of the phase of output 0
    if len(rows) != shape[dim]:
        return True  # one field for all of them, which no place is told from
    low, high = rows[at, 0].astype(np.int64), -rows[at, 1].astype(np.int64)
    begins = start + at // step.denominator * step.numerator
    sees = low < FAR
    clear = sees & (rows[at, 2] == 1)
    if clear.any():
        return bool((np.abs(low - begins)[clear] < 1e-6).all())
    if not sees.any():
        return True
    middle = np.flatnonzero(sees)[int(sees.sum()) // 2]
    first = max(0.0, begins[middle])
    last = min(axes[axis].length - 1.0, begins[middle] + size - 1)
    return bool(low[middle] >= first - 1e-6 and high[middle] <= last + 1e-6)


def wraps(dep: Dependence) -> bool:
    """Whether opposite borders were joined on the way."""
    return any(note.kind == "wraps" for note in dep.notes)


def sees_more_elsewhere(
    dep: Dependence, shape: Shape, axes: tuple[Axis, ...], larger: Field
) -> bool:
    """Whether some place of a map sees more than its middle, as a band at a border may.

    Where opposite borders are joined, the places at the seam see both, which says nothing.
    """
    most = widest(dep, shape, axes, within_half=wraps(dep))
    return any(
        extent == "finite" and wide > size
        for extent, wide, size in zip(larger.extent, most, larger.size, strict=True)
    )


def grows_with_image(dep: Dependence, shape: Shape, axes: tuple[Axis, ...], larger: Field) -> bool:
    """Whether a map at the size asked for sees far less than the image and the larger field allow.

    A field that reaches over the image leaves the middle of the image seeing nearly all of it; one
    that is half of the image, whatever its length, does not.

    Args:
        dep: Dependence of the map at the size asked for.
        shape: Shape of the map.
        axes: The input axes of that run.
        larger: The field of the same map in a larger run.
    """
    if max(shape[2:], default=1) < 2:  # one place, which need not be the middle
        return False
    most = widest(dep, shape, axes)
    return any(
        extent == "finite" and 4 * wide < 3 * min(size, axis.length)
        for extent, wide, size, axis in zip(larger.extent, most, larger.size, axes, strict=True)
    )
