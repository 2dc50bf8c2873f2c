"""Whether a halo is right: tiles that are cut with it give what the whole image gives."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, prod

from tests.analysis.fuzz.case import Case
from tests.analysis.fuzz.oracle import inputs_of, run
from torch import Tensor

LONGEST = 420
MOST_POSITIONS = 40_000
TOLERANCE = 1e-8


def tile_fault(case: Case, pixels: Sequence[int], alignment: Sequence[int]) -> str | None:
    """The first tile that differs from the whole image, in words; None if all are equal.

    Tiles begin at multiples of `alignment`. At a border of the image a tile is whole up to the
    border; elsewhere `pixels` of its margin are left out.
    """
    for axis in range(len(pixels)):
        if fault := _along(case, axis, pixels, alignment):
            return f"axis {axis}: {fault}"
    return None


def _along(case: Case, axis: int, pixels: Sequence[int], alignment: Sequence[int]) -> str | None:
    step, halo = alignment[axis], pixels[axis]
    lengths = [ceil(n / a) * a for n, a in zip(case.lengths, alignment, strict=True)]
    lengths[axis] = max(lengths[axis], step * ceil((4 * halo + 12 * step) / step))
    if lengths[axis] > LONGEST or prod(lengths) > MOST_POSITIONS:
        return None  # too large to be tried; neither right nor wrong
    images = inputs_of([_sized(shape, lengths) for shape in case.shapes], seed=3)
    try:
        whole = run(case, images)
        shorter = run(case, _cut(images, axis, 0, lengths[axis] - step))
    except Exception as error:
        return f"an image of {lengths} does not run: {type(error).__name__}"
    if whole.ndim != len(lengths) + 2:
        return "the output is no map"
    grown = whole.shape[2 + axis] - shorter.shape[2 + axis]
    if grown <= 0:
        return "the output does not grow with the image"
    jump = Fraction(step, grown)
    missing = floor((lengths[axis] - whole.shape[2 + axis] * jump) / 2)
    for start, stop in _cuts(lengths[axis], step, halo):
        low = 0 if start == 0 else start + halo
        high = lengths[axis] if stop == lengths[axis] else stop - halo
        try:
            tile = run(case, _cut(images, axis, start, stop))
        except Exception as error:
            return f"a tile [{start}, {stop}) does not run: {type(error).__name__}"
        first = max(0, ceil((low - missing) / jump)) if start else 0
        last = min(whole.shape[2 + axis], floor((high - missing) / jump))
        skipped = int(Fraction(start) / jump)
        last = min(last, skipped + tile.shape[2 + axis]) if stop == lengths[axis] else last
        if last <= first:
            continue
        if first < skipped or skipped + tile.shape[2 + axis] < last:
            return f"a tile [{start}, {stop}) gives {tile.shape[2 + axis]} outputs"
        expected = whole.narrow(2 + axis, first, last - first)
        found = tile.narrow(2 + axis, first - skipped, last - first)
        if found.shape != expected.shape:
            return f"a tile [{start}, {stop}) has shape {tuple(tile.shape)}"
        found, expected = found.nan_to_num(), expected.nan_to_num()
        worst = float((found - expected).abs().max() / (whole.nan_to_num().abs().max() + 1e-300))
        if not worst <= TOLERANCE:
            return f"a tile [{start}, {stop}) of {lengths[axis]} differs by {worst:.1e}"
    return None


def _cuts(length: int, step: int, halo: int) -> list[tuple[int, int]]:
    """Tiles of two sizes: at both borders, and inside at neighbouring origins."""
    cuts = []
    for extra in (4, 7):
        n = step * ceil((2 * halo + extra * step) / step)
        inside = [s for s in (step, 2 * step, 3 * step) if s + n < length]
        starts = {0, *inside, length - n} if n < length else set()
        cuts += [(s, s + n) for s in sorted(starts)]
    return cuts


def _sized(shape: Sequence[int], lengths: Sequence[int]) -> list[int]:
    is_map = len(shape) == len(lengths) + 2
    return [*shape[:2], *lengths] if is_map else list(shape)


def _cut(images: Sequence[Tensor], axis: int, start: int, stop: int) -> list[Tensor]:
    """The same part of every image; what is no image of that rank is left whole."""
    ndim = images[0].ndim
    return [
        x.narrow(2 + axis, start, stop - start).contiguous() if x.ndim == ndim else x
        for x in images
    ]
