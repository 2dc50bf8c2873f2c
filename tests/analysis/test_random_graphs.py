# ruff: noqa: ARG001, S311 - all steps take the same arguments; random numbers only choose graphs
"""On random graphs, fields equal the support of the gradient of a positive linear twin.

The twin has positive float64 weights, average in place of maximum, and no activations, so that the
gradient of an output is non-zero exactly where the output depends on the input.
"""

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import FAR, position_axis
from atrous.analysis.fields.dependence import Run
from atrous.analysis.fields.field import is_solid, main_dim, rows_of
from atrous.analysis.tracing.arguments import Arguments
from atrous.analysis.tracing.field_trace import Sight, SightListener, look
from atrous.analysis.tracing.propagate import FieldListener
from atrous.analysis.tracing.trace import staged

Step = Callable[[Tensor], Tensor]
Pair = tuple[Step, Step]
CONV = {2: F.conv2d, 3: F.conv3d}
CONV_T = {2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE = {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


def positions(row, length: int):
    """One set of a `position_axis` as `length` booleans."""
    octets = np.ascontiguousarray(row[:-1]).astype("<u8").view(np.uint8)
    return np.unpackbits(octets, bitorder="little")[:length].astype(bool)


def positive(r: Random, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(r.randrange(2**31))
    return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5


def space(x: Tensor) -> list[int]:
    return list(range(2, x.ndim))


def pick(r: Random, n: int, low: int, high: int) -> list[int]:
    return [r.randint(low, high) for _ in range(n)]


def conv(r: Random, c: int, n: int) -> Pair:
    groups = r.choice([1, c])
    out = c if groups == c else r.randint(1, 3)
    weight = positive(r, out, c // groups, *pick(r, n, 1, 3))
    stride, padding, dilation = pick(r, n, 1, 2), pick(r, n, 0, 2), pick(r, n, 1, 2)

    def step(x: Tensor) -> Tensor:
        return CONV[n](x, weight, None, stride, padding, dilation, groups)

    return step, step


def conv_transposed(r: Random, c: int, n: int) -> Pair:
    groups = r.choice([1, c])
    weight = positive(r, c, 1 if groups == c else r.randint(1, 3), *pick(r, n, 1, 4))
    stride, padding, dilation = pick(r, n, 1, 3), pick(r, n, 0, 2), pick(r, n, 1, 2)
    extra = [r.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]

    def step(x: Tensor) -> Tensor:
        return CONV_T[n](x, weight, None, stride, padding, extra, groups, dilation)

    return step, step


def max_pool(r: Random, c: int, n: int) -> Pair:
    kernel, stride, dilation = pick(r, n, 1, 3), pick(r, n, 1, 3), pick(r, n, 1, 2)
    padding = [r.randint(0, k // 2) for k in kernel]
    ceil_mode = r.random() < 0.5

    def real(x: Tensor) -> Tensor:
        return MAX_POOL[n](x, kernel, stride, padding, dilation, ceil_mode)

    def twin(x: Tensor) -> Tensor:
        size = real(x).shape[2:]
        wide = F.pad(x, [p for k in reversed(kernel) for p in (0, 3 * k + 3)])
        weight = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
        y = CONV[n](wide, weight, None, stride, padding, dilation, x.shape[1])
        return y[(..., *(slice(0, m) for m in size))]

    return real, twin


def avg_pool(r: Random, c: int, n: int) -> Pair:
    kernel, stride = pick(r, n, 1, 3), pick(r, n, 1, 3)
    padding = [r.randint(0, k // 2) for k in kernel]
    ceil_mode, counts = r.random() < 0.5, r.random() < 0.5

    def step(x: Tensor) -> Tensor:
        return AVG_POOL[n](x, kernel, stride, padding, ceil_mode, counts)

    return step, step


def adaptive(r: Random, c: int, n: int) -> Pair:
    size = pick(r, n, 1, 5)
    real = r.choice([ADAPTIVE[n], ADAPTIVE_MAX[n]])
    return (lambda x: real(x, size)), (lambda x: ADAPTIVE[n](x, size))


def nearest(r: Random, c: int, n: int) -> Pair:
    mode = r.choice(["nearest", "nearest-exact"])
    factor = r.choice([0.5, 1.5, 2, 3])

    def step(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=factor, mode=mode)

    return step, step


def linear_up(r: Random, c: int, n: int) -> Pair:
    align = r.random() < 0.5
    factor, size = r.choice([0.5, 1.5, 2.0, 3.0]), pick(r, n, 1, 9)
    by_size = r.random() < 0.5

    def step(x: Tensor) -> Tensor:
        if by_size:
            return F.interpolate(x, size=size, mode=LINEAR[n], align_corners=align)
        return F.interpolate(x, scale_factor=factor, mode=LINEAR[n], align_corners=align)

    return step, step


def cubic_or_smooth(r: Random, c: int, n: int) -> Pair:
    size, align = pick(r, n, 2, 9), r.random() < 0.5
    mode, smooth = r.choice([("bicubic", False), ("bilinear", True)])

    def step(x: Tensor) -> Tensor:
        assert n == 2
        return F.interpolate(
            x, size=size, mode=mode, align_corners=align and not smooth, antialias=smooth
        )

    return step, step


def shuffle_pixels(r: Random, c: int, n: int) -> Pair:
    up = r.random() < 0.5

    def step(x: Tensor) -> Tensor:
        assert n == 2
        return F.pixel_shuffle(torch.cat([x, 2 * x, x, x], 1), 2) if up else F.pixel_unshuffle(x, 2)

    return step, step


def pad(r: Random, c: int, n: int) -> Pair:
    mode = r.choice(["constant", "reflect", "replicate", "circular"])
    amounts = pick(r, 2 * n, -1 if mode == "constant" else 0, 2)

    def step(x: Tensor) -> Tensor:
        return F.pad(x, amounts, mode=mode)

    return step, step


def crop(r: Random, c: int, n: int) -> Pair:
    cuts = [slice(r.randint(0, 2), r.choice([None, -1]), r.randint(1, 2)) for _ in range(n)]
    return (lambda x: x[(..., *cuts)]), (lambda x: x[(..., *cuts)])


def split_cat(r: Random, c: int, n: int) -> Pair:
    weight = positive(r, 1, 1, *[3] * n)

    def step(x: Tensor) -> Tensor:
        a, b = x.split([1, x.shape[1] - 1], 1) if x.shape[1] > 1 else (x, x)
        return torch.cat([b, CONV[n](a, weight, padding=1)], 1)

    return step, step


def more_channels(r: Random, c: int, n: int) -> Pair:
    weight = positive(r, c, 1, *[3] * n)

    def step(x: Tensor) -> Tensor:
        y = torch.cat([x, CONV[n](x, weight, padding=1, groups=x.shape[1])], 1)
        return F.pad(y, [0] * 2 * n + [1, 1])

    return step, step


def without_batch(r: Random, c: int, n: int) -> Pair:
    def step(x: Tensor) -> Tensor:
        assert n == 2
        halves = [torch.cat([sample, sample.flip(2)], 1) for sample in x]
        return torch.stack([F.avg_pool2d(half, (3, 2)) for half in halves])

    return step, step


def cat_space(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(2, n + 1)
    return (lambda x: torch.cat([x, x.flip(dim)], dim)), (
        lambda x: torch.cat([x, x.flip(dim)], dim)
    )


def inplace_hardswish(x: Tensor) -> Tensor:
    return F.hardswish(x.clone(), inplace=True)


def inplace_relu(x: Tensor) -> Tensor:
    return x.clone().relu_()


def prelu(x: Tensor) -> Tensor:
    return F.prelu(x, torch.ones(1, dtype=x.dtype))


def activation(r: Random, c: int, n: int) -> Pair:
    choices = [F.relu, F.gelu, F.hardswish, torch.sigmoid, inplace_hardswish, inplace_relu, prelu]
    real = r.choice(choices)
    return real, lambda x: x


def branches(r: Random, c: int, n: int) -> Pair:
    kernel = pick(r, n, 1, 3)
    weight, other = positive(r, c, c, *kernel), positive(r, c, c, *[1] * n)
    dilation = r.randint(1, 2)
    padding = [dilation * (k - 1) // 2 for k in kernel]
    join = r.choice([torch.add, torch.mul, torch.maximum, lambda a, b: torch.stack([a, b]).amax(0),
                     lambda a, b: torch.where(a > b, a, b), lambda a, b: a.add_(b)])  # fmt: skip

    def run(x: Tensor, how: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        a, b = CONV[n](x, weight, None, 1, padding, dilation), CONV[n](x, other)
        return how(
            a[(..., *(slice(0, m) for m in b.shape[2:]))],
            b[(..., *(slice(0, m) for m in a.shape[2:]))],
        )

    return (lambda x: run(x, join)), (lambda x: run(x, torch.add))


def shuffle_channels(r: Random, c: int, n: int) -> Pair:
    groups = r.choice([g for g in range(1, c + 1) if c % g == 0])

    def step(x: Tensor) -> Tensor:
        b, channels, *s = x.shape
        return x.view(b, groups, channels // groups, *s).transpose(1, 2).reshape(b, channels, *s)

    return step, step


def roll(r: Random, c: int, n: int) -> Pair:
    shifts, dims = pick(r, n, -2, 2), list(range(2, n + 2))
    return (lambda x: torch.roll(x, shifts, dims)), (lambda x: torch.roll(x, shifts, dims))


def flip(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    return (lambda x: x.flip(dim)), (lambda x: x.flip(dim))


def norm(r: Random, c: int, n: int) -> Pair:
    ones, zeros = torch.ones(c, dtype=torch.float64), torch.zeros(c, dtype=torch.float64)
    kind = r.choice(["fixed", "batch", "instance", "group", "layer"])
    real = {
        "fixed": lambda x: F.batch_norm(x, zeros, ones, ones, zeros),
        "batch": lambda x: F.batch_norm(x, zeros.clone(), ones.clone(), ones, zeros, training=True),
        "instance": lambda x: F.instance_norm(x),
        "group": lambda x: F.group_norm(x, 1),
        "layer": lambda x: F.layer_norm(x, x.shape[-1:]),
    }[kind]
    twin = {
        "fixed": lambda x: x,
        "batch": lambda x: x + x.mean(space(x), keepdim=True),
        "instance": lambda x: x + x.mean(space(x), keepdim=True),
        "group": lambda x: x + x.mean([1, *space(x)], keepdim=True),
        "layer": lambda x: x + x.mean(-1, keepdim=True),
    }[kind]
    return real, twin


def soften(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    return (lambda x: x.softmax(dim)), (lambda x: x + x.sum(dim, keepdim=True))


def squeeze_excite(r: Random, c: int, n: int) -> Pair:
    return (
        lambda x: x * ADAPTIVE[n](x, 1).sigmoid(),
        lambda x: x + x.mean(space(x), keepdim=True),
    )


def dense(r: Random, c: int, n: int) -> Pair:
    seed = r.randrange(2**31)

    def step(x: Tensor) -> Tensor:
        return F.linear(x, positive(Random(seed), 3, x.shape[-1]))

    return step, step


def attention(r: Random, c: int, n: int) -> Pair:
    def real(x: Tensor) -> Tensor:
        t = x.flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(t, t, t)
        return y.transpose(1, 2).reshape(x.shape)

    def by_hand(x: Tensor) -> Tensor:
        t = x.flatten(2).transpose(1, 2)
        y = (t @ t.transpose(1, 2)).softmax(-1) @ t
        return y.transpose(1, 2).reshape(x.shape)

    return r.choice([real, by_hand]), lambda x: x.sum(list(range(1, x.ndim)), keepdim=True) + 0 * x


def turn(r: Random, c: int, n: int) -> Pair:
    a, b = r.sample(range(2, n + 2), 2)
    return (lambda x: x.transpose(a, b)), (lambda x: x.transpose(a, b))


def write_slice(r: Random, c: int, n: int) -> Pair:
    kind = r.choice(["rows", "channel", "corner", "fresh", "view", "before"])
    weight = positive(r, 1, 1, *[3] * n)

    def step(x: Tensor) -> Tensor:
        near = torch.stack(
            [CONV[n](x[:, i : i + 1], weight, padding=1)[:, 0] for i in range(x.shape[1])], 1
        )
        y = (
            torch.zeros_like(x)
            if kind == "fresh"
            else x.clone(memory_format=torch.contiguous_format)
        )
        if kind == "rows":
            y[:, :, 1:3] = near[:, :, 1:3]
        elif kind == "channel":
            y[:, 0] += near[:, -1]
        elif kind == "corner":
            y[:, :, 1:, ..., :2] = near[:, :, 1:, ..., :2]
        elif kind == "fresh":
            y[..., ::2] = near[..., ::2]
        elif kind == "view":
            y.view(x.shape[0], -1)[:, :] += near.flatten(1)
        else:
            early = y[:, :, :2]
            y += near
            y[:, :, :2] = y[:, :, :2] + early
        return y

    return step, step


def columns(r: Random, c: int, n: int) -> Pair:
    kernel, stride, padding = r.randint(1, 3), r.randint(1, 2), r.randint(0, 1)
    folds = r.random() < 0.5

    def step(x: Tensor) -> Tensor:
        assert n == 2
        y = F.unfold(x, kernel, padding=padding, stride=stride)
        if folds:
            return F.fold(y, x.shape[2:], kernel, padding=padding, stride=stride)
        h = (x.shape[2] + 2 * padding - kernel) // stride + 1
        return y.view(x.shape[0], y.shape[1], h, -1)[:, ::2]

    return step, step


def accumulate(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    return (lambda x: x.cumsum(dim)), (lambda x: x.cumsum(dim))


def gate(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    return (lambda x: F.glu(x, dim)), (lambda x: sum(x.chunk(2, dim)))


def repeat(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    times = [1] * (n + 2)
    times[dim] = 2
    if r.random() < 0.5:
        return (lambda x: x.repeat(times)), (lambda x: x.repeat(times))
    return (lambda x: x.repeat_interleave(2, dim)), (lambda x: x.repeat_interleave(2, dim))


def reduce_keep(r: Random, c: int, n: int) -> Pair:
    dim = r.randint(1, n + 1)
    real = r.choice(
        [
            lambda x: x.amax(dim, keepdim=True),
            lambda x: x.std(dim, correction=0, keepdim=True),
            lambda x: x.max(dim, keepdim=True)[0],
            lambda x: x.norm(dim=dim, keepdim=True),
        ]
    )
    return (lambda x: x + real(x)), (lambda x: x + x.sum(dim, keepdim=True))


def windows(r: Random, c: int, n: int) -> Pair:
    dim, size, step = r.randint(2, n + 1), r.randint(1, 3), r.randint(1, 2)
    return (lambda x: x.unfold(dim, size, step).amax(-1)), (
        lambda x: x.unfold(dim, size, step).sum(-1)
    )


def space_to_depth(r: Random, c: int, n: int) -> Pair:
    def step(x: Tensor) -> Tensor:
        even = x[..., : x.shape[-1] // 2 * 2]
        return torch.cat([even[..., ::2], even[..., 1::2]], 1)

    return step, step


KINDS = [
    *[conv, conv, conv, conv_transposed, conv_transposed, max_pool],
    *[avg_pool, adaptive, nearest, linear_up, cubic_or_smooth, shuffle_pixels],
    *[pad, crop, split_cat, more_channels, without_batch, cat_space, activation, branches],
    *[branches, shuffle_channels, roll, flip, norm, soften],
    *[squeeze_excite, dense, attention, turn, write_slice, columns],
    *[accumulate, gate, repeat, reduce_keep, windows, space_to_depth],
]
MIXING = {norm, soften, squeeze_excite, dense, attention, adaptive, accumulate, reduce_keep}


class Chain(nn.Module):
    """Steps in order, each with a shortcut back to an earlier tensor where shapes allow."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for step in self.steps:
            y = step(seen[-1])
            for earlier in seen[::-1]:
                if earlier.shape == y.shape and len(seen) % 2:
                    y = y + earlier
                    break
            seen.append(y)
        return seen[-1]


def random_graph(seed: int) -> tuple[Chain, Chain, tuple[int, ...]]:
    """A network, its twin, and an input shape."""
    r = Random(seed)
    n = r.choice([2, 2, 3])
    shape = (1, r.randint(1, 3), *pick(r, n, 4, 9 if n == 2 else 6))
    pairs: list[Pair] = []
    x = torch.ones(shape, dtype=torch.float64)
    wanted, has_mixed = r.randint(2, 6), False
    for _ in range(40):
        if len(pairs) == wanted:
            break
        kind = r.choice(KINDS)
        if kind in MIXING and has_mixed:  # one is enough: after two everything is whole
            continue
        c = x.shape[1]
        pair = kind(r, c, n)
        try:
            y, z = pair[0](x), pair[1](x)
        except (RuntimeError, ValueError, AssertionError, IndexError):
            continue  # this op does not fit here
        assert y.shape == z.shape
        if y.ndim != n + 2 or not 1 <= y.numel() <= 600 or y.shape[1] > 12:
            continue
        pairs.append(pair)
        has_mixed |= kind in MIXING
        x = z.detach() / z.max()
    return Chain([a for a, _ in pairs]), Chain([b for _, b in pairs]), shape


@pytest.fixture(autouse=True)
def _one_thread():
    """The tensors are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def support(twin: nn.Module, shape: tuple[int, ...]) -> tuple[list[int], list[np.ndarray]]:
    """Lengths of the output, and per input axis which positions each slice of the output reads.

    Every slice (dimension, index) gets a copy of the input in one batch, so one backward pass does.
    """
    with torch.no_grad():
        lengths = list(twin(torch.ones(shape, dtype=torch.float64)).shape[2:])
    x = torch.ones((sum(lengths), *shape[1:]), dtype=torch.float64, requires_grad=True)
    y = twin(x)
    chosen = torch.zeros_like(y)
    row = 0
    for dim, n in enumerate(lengths):
        for index in range(n):
            chosen[row].select(dim + 1, index).fill_(1)
            row += 1
    weights = torch.rand(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((y * chosen * (weights + 0.5)).sum(), x, allow_unused=True)
    gradient = torch.zeros_like(x) if gradient is None else gradient.abs()
    gradient = gradient / (gradient.flatten(1).amax(1).view(-1, *[1] * (x.ndim - 1)) + 1e-300)
    seen = []
    for axis in range(2, len(shape)):
        others = [d for d in range(1, len(shape)) if d != axis]
        seen.append((gradient.amax(others) > 1e-11).numpy())
    return lengths, seen


def look_closely(stage, image: Tensor) -> Sight:
    """A run that keeps every position of the output, not only their number."""
    run = Run(tuple(position_axis(n) for n in image.shape[2:]))
    sight = Sight(run, {})
    (fake,) = stage.fake([image])
    dependence.attach(fake, dependence.source(run, image.ndim))
    stage.run([fake], [SightListener(FieldListener(run), sight)])
    return sight


def rows(sight, axis: int, dim: int, n: int) -> np.ndarray:
    """Sets of one input axis for every index of one dimension of the output."""
    found = rows_of(sight.run.axes[axis], sight.maps["output"][0].axes[axis], dim)
    return np.broadcast_to(found, (n, found.shape[-1]))


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_output_of_every_axis_sees_exactly_the_support_of_its_gradient(seed):
    net, twin, shape = random_graph(seed)
    lengths, seen = support(twin, shape)
    image = torch.empty(shape, dtype=torch.float64, device="meta")
    with staged(net) as stage:
        intervals = look(stage, Arguments((image,), {}, (image,)))
        exact = look_closely(stage, image)
    assert intervals.error is None
    if "output" not in intervals.maps:
        assert not any(part.any() for part in seen)
        return
    dep, out_shape = intervals.maps["output"]
    assert list(out_shape[2:]) == lengths
    assert not {note.kind for note in dep.notes} & {"unknown", "data-dependent"}
    for axis in range(len(lengths)):
        along = main_dim(intervals.run.axes[axis], dep.axes[axis], len(lengths), axis)
        assert along is not None
        row = 0
        for dim, n in enumerate(lengths):
            spans = rows(intervals, axis, 2 + dim, n)
            sets = rows(exact, axis, 2 + dim, n)
            for index in range(n):
                truth = seen[axis][row]
                row += 1
                at = np.flatnonzero(truth)
                where = f"axis {axis}, output dimension {dim}, index {index}"
                assert (positions(sets[index], shape[2 + axis]) == truth).all(), where
                if not len(at):
                    assert spans[index, 0] == FAR, where
                    continue
                assert (spans[index, 0], -spans[index, 1]) == (at[0], at[-1]), where
                if dim == along - 2 and is_solid(dep, out_shape, intervals.run.axes):
                    assert truth[at[0] : at[-1] + 1].all(), where


def test_the_random_graphs_hold_more_than_twenty_kinds_of_op_in_two_and_three_dimensions():
    kinds, dims = set(), set()
    for seed in range(150):
        net, _, shape = random_graph(seed)
        kinds |= {step.__qualname__.partition(".")[0] for step in net.steps}
        dims.add(len(shape) - 2)
    assert dims == {2, 3}
    assert len(kinds) > 20
