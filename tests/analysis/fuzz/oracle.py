"""The truth about a model: every plane of the input is replaced, and what changes is written down.

Nothing here knows how the analysis works. A plane is all input at one index of one spatial axis.
Parameters are made positive and of a size that saturates nothing in some draws, are left as they
are in others and have random signs in the rest; a position counts as read if an output changes in
any draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from tests.analysis.fuzz.case import DTYPE, Case, first_tensor, seeded
from tests.analysis.fuzz.line import Line, Reads, line_of
from torch import Tensor, nn

SENSITIVITY = 1e-11  # smallest change that counts, as a share of the largest value that comes out


@dataclass(frozen=True)
class Draw:
    """One way to fill a model and its input, and to change a plane of that.

    Attributes:
        parameters: Whether they stay as built, are made positive, or get random signs, so that
            every sum is now above and now below a threshold.
        shift: Added to the whole plane; 0 to replace it by normal numbers instead.
        spread: Standard deviation of those.
        seed: Of the input and the parameters.
        base: Added to the whole input, so that thresholds are met from the other side.
    """

    parameters: Literal["as built", "positive", "of both signs"] = "as built"
    shift: float = 0.0
    spread: float = 3.0
    seed: int = 0
    base: float = 0.0


AS_BUILT = Draw()
DRAWS = (
    Draw(parameters="positive", shift=2.0),
    Draw(parameters="positive", shift=-40.0),
    Draw(),
)
MORE_DRAWS = (
    Draw(parameters="positive", shift=40.0),  # what is little in a maximum becomes the most
    *(Draw(base=base) for base in (-1.5, -6.0, 6.0)),
    Draw(base=-1.0, spread=0.2),  # near zero, where nothing saturates
    *(
        Draw(parameters="positive" if seed % 2 else "as built", spread=spread, seed=seed)
        for seed, spread in enumerate([0.3, 1.0, 3.0, 10.0, 0.3, 3.0, 30.0, 1.0] * 3, start=1)
    ),
    *(
        Draw(spread=spread, seed=seed, base=base)  # thresholds between planes
        for spread in (1.0, 10.0, 100.0)
        for base in (-1.0, -0.5)
        for seed in range(20, 25)
    ),
    *(
        Draw(parameters="of both signs", spread=spread, seed=seed)
        for spread in (1.0, 10.0)
        for seed in range(30, 50)
    ),
)
"""For models whose maxima, masks and thresholds hide what is read from the first draws."""


def inputs_of(shapes: Sequence[Sequence[int]], seed: int = 0) -> list[Tensor]:
    """Random inputs of these shapes, `(B, C, *S)`, between a half and one and a half."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(tuple(s), generator=generator, dtype=DTYPE) + 0.5 for s in shapes]


def _set_parameters(model: nn.Module, draw: Draw) -> None:
    """Give a model parameters that keep the size of what goes through them."""
    if draw.parameters == "as built":
        return
    generator = torch.Generator().manual_seed(draw.seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.is_floating_point():
                continue
            values = torch.rand(parameter.shape, generator=generator, dtype=DTYPE) + 0.5
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 4 if parameter.ndim else 1
            if draw.parameters == "of both signs":
                values *= torch.rand(values.shape, generator=generator, dtype=DTYPE).sub(0.5).sign()
            parameter.copy_(values / fan_in)


def run(case: Case, inputs: Sequence[Tensor], draw: Draw = AS_BUILT) -> Tensor:
    """What a fresh model returns first."""
    model = case.build()
    _set_parameters(model, draw)
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


def on_twice(case: Case, axis: int) -> Line:
    """What outputs read along one axis of an image that is twice as long there."""
    shapes = [list(shape) for shape in case.shapes]
    for shape in shapes:
        if len(shape) == len(case.shapes[0]):
            shape[2 + axis] *= 2
    return line_of(reads_along(case, axis, shapes), axis, len(case.lengths))


def is_local(case: Case, axis: int, line: Line) -> bool:
    """Whether the outputs in the middle read as far on an image twice as long."""
    if line.middle_size is None or not case.scales:
        return line.middle_size is not None
    return on_twice(case, axis).middle_size == line.middle_size


def line(case: Case, axis: int, draws: Sequence[Draw] = DRAWS) -> Line:
    """What outputs read along one axis, at the size of the case."""
    return line_of(reads_along(case, axis, draws=draws), axis, len(case.lengths))


def lines(case: Case) -> list[Line]:
    """One line per spatial axis, at the size of the case."""
    return [line(case, axis) for axis in range(len(case.lengths))]
