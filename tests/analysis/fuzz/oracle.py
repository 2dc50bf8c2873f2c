"""The truth about a model: every plane of the input is replaced, and what changes is written down.

Nothing here knows how the analysis works. A plane is all input at one index of one spatial axis.
Parameters are made positive and of a size that saturates nothing in some draws and are left as they
are in others; a position counts as read if an output changes in any draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from tests.analysis.fuzz.case import DTYPE, Case, first_tensor, seeded
from torch import Tensor, nn

Reads = NDArray[np.bool_]
SENSITIVITY = 1e-11  # smallest change that counts, as a share of the largest value that comes out


@dataclass(frozen=True)
class Draw:
    """One way to fill a model and its input, and to change a plane of that.

    Attributes:
        is_positive: Parameters are made positive; else they are as built.
        shift: Added to the whole plane; 0 to replace it by normal numbers instead.
        spread: Standard deviation of those.
        seed: Of the input and the parameters.
        base: Added to the whole input, so that thresholds are met from the other side.
    """

    is_positive: bool = False
    shift: float = 0.0
    spread: float = 3.0
    seed: int = 0
    base: float = 0.0


AS_BUILT = Draw()
DRAWS = (Draw(is_positive=True, shift=2.0), Draw(is_positive=True, shift=-40.0), Draw())
MORE_DRAWS = (
    Draw(is_positive=True, shift=40.0),  # what is little in a maximum becomes the most
    *(Draw(base=base) for base in (-1.5, -6.0, 6.0)),
    Draw(base=-1.0, spread=0.2),  # near zero, where nothing saturates
    *(
        Draw(is_positive=seed % 2 > 0, spread=spread, seed=seed)
        for seed, spread in enumerate([0.3, 1.0, 3.0, 10.0, 0.3, 3.0, 30.0, 1.0] * 3, start=1)
    ),
    *(
        Draw(spread=spread, seed=seed, base=base)  # thresholds between planes
        for spread in (1.0, 10.0, 100.0)
        for base in (-1.0, -0.5)
        for seed in range(20, 25)
    ),
)
"""For models whose maxima, masks and thresholds hide what is read from the first draws."""


def inputs_of(shapes: Sequence[Sequence[int]], seed: int = 0) -> list[Tensor]:
    """Random inputs of these shapes, `(B, C, *S)`, between a half and one and a half."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(tuple(s), generator=generator, dtype=DTYPE) + 0.5 for s in shapes]


def make_positive(model: nn.Module, seed: int) -> None:
    """Give a model positive parameters that keep the size of what goes through them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.is_floating_point():
                continue
            values = torch.rand(parameter.shape, generator=generator, dtype=DTYPE) + 0.5
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 4 if parameter.ndim else 1
            parameter.copy_(values / fan_in)


def run(case: Case, inputs: Sequence[Tensor], draw: Draw = AS_BUILT) -> Tensor:
    """What a fresh model returns first."""
    model = case.build()
    if draw.is_positive:
        make_positive(model, seed=draw.seed)
    with torch.no_grad():
        out = first_tensor(seeded(lambda: model(*[x.clone() for x in inputs])))
    if out is None:
        raise ValueError("the model returns no tensor")
    if out.is_complex():  # one number that changes whenever either of its two does
        out = out.resolve_conj().real + 2**0.5 * out.imag
    return out.detach().resolve_neg().to(DTYPE)


def reads_along(
    case: Case,
    axis: int,
    shapes: Sequence[Sequence[int]] | None = None,
    draws: Sequence[Draw] = DRAWS,
) -> Reads:
    """Which planes of an axis every output reads: `(planes, *output shape)`."""
    shapes = case.shapes if shapes is None else shapes
    found: Reads | None = None
    for draw in draws:
        changes = _changes(case, shapes, axis, draw)
        found = changes if found is None else found | changes
    assert found is not None
    return found


def _changes(case: Case, shapes: Sequence[Sequence[int]], axis: int, draw: Draw) -> Reads:
    first, *others = inputs_of(shapes, seed=draw.seed)
    inputs = [first + draw.base, *others]
    whole = run(case, inputs, draw)
    planes = [_replaced(inputs[0], axis, i, draw) for i in range(inputs[0].shape[2 + axis])]
    results = _run_as_one_batch(case, inputs, planes, draw, whole)
    if results is None:
        results = [run(case, [plane, *inputs[1:]], draw) for plane in planes]
    least = SENSITIVITY * float(whole.abs().nan_to_num(0).max()) if whole.numel() else 0.0
    return np.stack([_differs(result, whole, least) for result in results])


def _differs(result: Tensor, whole: Tensor, least: float) -> Reads:
    if result.shape != whole.shape:
        return np.ones(tuple(whole.shape), dtype=bool)
    same = (result - whole).abs() <= least
    return (~(same | (result == whole) | (result.isnan() & whole.isnan()))).numpy()


def _replaced(x: Tensor, axis: int, index: int, draw: Draw) -> Tensor:
    changed = x.clone()
    plane = changed.select(2 + axis, index)
    if draw.shift:
        plane += draw.shift
    else:
        generator = torch.Generator().manual_seed(1000 * (draw.seed + 1) + index)
        plane.copy_(torch.randn(plane.shape, generator=generator, dtype=DTYPE) * draw.spread)
    return changed


def _run_as_one_batch(
    case: Case, inputs: Sequence[Tensor], planes: Sequence[Tensor], draw: Draw, whole: Tensor
) -> list[Tensor] | None:
    """All planes in one run, if the model treats samples apart; else None."""
    if any(len(x) != 1 for x in inputs) or not whole.ndim or whole.shape[0] != 1:
        return None
    batch = torch.cat([inputs[0], *planes, inputs[0]])
    others = [x.expand(len(batch), *x.shape[1:]).clone() for x in inputs[1:]]
    try:
        out = run(case, [batch, *others], draw)
    except Exception:
        return None
    if out.shape != (len(batch), *whole.shape[1:]):
        return None
    least = SENSITIVITY * float(whole.abs().nan_to_num(0).max())
    middle = len(planes) // 2
    alone = run(case, [planes[middle], *inputs[1:]], draw)
    pairs = ((out[:1], whole), (out[-1:], whole), (out[middle + 1 : middle + 2], alone))
    if any(_differs(a, b, least).any() for a, b in pairs):
        return None  # samples see each other, or random numbers fall otherwise
    return list(out[1:-1].split(1))


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the outputs of a map read along one axis, at one input length.

    Attributes:
        length: Planes of the input.
        size: First to last plane, both counted, of the output that reads farthest.
        middle_size: The same over the middle third of outputs, if the border is out of reach for
            all of them; None if it is not, or if the output is no map or a small one.
        is_small: Whether the output has so few positions that none is far from the border.
        counts: Planes really read by those of the middle that read farthest.
        jump: Planes per step on the output; None if the middle is too short or irregular.
        start: First plane of output 0, carried on from the middle; None as `jump`.
        centre: Middle of that.
    """

    length: int
    size: int
    middle_size: int | None = None
    is_small: bool = False
    counts: frozenset[int] = frozenset()
    jump: Fraction | None = None
    start: Fraction | None = None
    centre: Fraction | None = None


def line_of(reads: Reads, axis: int, num_axes: int) -> Line:
    """Sizes, jump and start out of what every output reads along an axis."""
    length = reads.shape[0]
    if reads.ndim - 1 != num_axes + 2:
        flat = reads.reshape(length, -1)
        return Line(length=length, size=_largest(flat), is_small=True)
    for other in range(num_axes):
        n = reads.shape[3 + other]
        if other != axis and n > 2:
            reads = reads.take(range(n // 3, n - n // 3), axis=3 + other)
    rows = reads.any(axis=tuple(d for d in range(1, reads.ndim) if d != 3 + axis))
    size = _largest(rows)
    n = rows.shape[1]
    middle = range(n // 3, n - n // 3)
    ends = [_ends(rows[:, i]) for i in middle]
    free = [e for e in ends if e is None or (e[0] > 0 and e[1] < length - 1)]
    if n < 6 or len(free) < len(ends) or not any(free):
        return Line(length=length, size=size, is_small=n < 6)
    widths = [0 if e is None else e[1] - e[0] + 1 for e in ends]
    widest = max(widths)
    counts = {
        int(rows[:, i].sum()) for i, width in zip(middle, widths, strict=True) if width == widest
    }
    jump, start, centre = _regular(*_unclipped(rows, middle, widest))
    return Line(
        length=length,
        size=size,
        middle_size=widest,
        counts=frozenset(counts),
        jump=jump,
        start=start,
        centre=centre,
    )


Ends = tuple[int, int] | None


def _ends(row: Reads) -> Ends:
    at = np.flatnonzero(row)
    return (int(at[0]), int(at[-1])) if len(at) else None


def _largest(rows: Reads) -> int:
    """Widest column, from its first to its last plane."""
    ends = [_ends(column) for column in rows.T]
    return max((e[1] - e[0] + 1 for e in ends if e is not None), default=0)


def _unclipped(rows: Reads, middle: range, widest: int) -> tuple[list[Ends], int]:
    """The middle and what adjoins it as far as no border can cut it, and its first output."""
    last = len(rows) - widest

    def is_clear(i: int) -> bool:
        ends = _ends(rows[:, i]) if 0 <= i < rows.shape[1] else None
        return ends is not None and ends[0] >= widest - 1 and ends[1] <= last

    first, stop = middle.start, middle.stop
    while is_clear(first - 1):
        first -= 1
    while is_clear(stop):
        stop += 1
    return [_ends(rows[:, i]) for i in range(first, stop)], first


def _regular(
    ends: Sequence[Ends], first: int
) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """Jump, start and centre of output 0 from the period after which the fields repeat."""
    for period in range(1, len(ends) // 3 + 1):
        moves = set()
        for a, b in zip(ends, ends[period:], strict=False):
            if (a is None) != (b is None):
                moves.add((None, None))
            elif a is not None and b is not None:
                moves.add((b[0] - a[0], b[1] - a[1]))
        if len(moves) != 1:
            continue
        move = moves.pop()
        if move[0] is None or move[0] != move[1]:
            return None, None, None
        jump = Fraction(move[0], period)
        at = [(i, e) for i, e in enumerate(ends, first) if e is not None]
        index, (low, high) = min(at, key=lambda pair: (pair[0] % period, pair[0]))
        return jump, low - index * jump, Fraction(low + high, 2) - index * jump
    return None, None, None


def is_local(case: Case, axis: int, line: Line) -> bool:
    """Whether the outputs in the middle read as far on an image twice as long."""
    if line.middle_size is None or not case.scales:
        return line.middle_size is not None
    shapes = [list(shape) for shape in case.shapes]
    for shape in shapes:
        if len(shape) == len(case.shapes[0]):
            shape[2 + axis] *= 2
    longer = line_of(reads_along(case, axis, shapes), axis, len(case.lengths))
    return longer.middle_size == line.middle_size


def line(case: Case, axis: int, draws: Sequence[Draw] = DRAWS) -> Line:
    """What outputs read along one axis, at the size of the case."""
    return line_of(reads_along(case, axis, draws=draws), axis, len(case.lengths))


def lines(case: Case) -> list[Line]:
    """One line per spatial axis, at the size of the case."""
    return [line(case, axis) for axis in range(len(case.lengths))]
