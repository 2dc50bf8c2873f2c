"""Models whose field, halo or phase is easily told wrongly without a word."""

from random import Random

import torch
from tests.analysis.fuzz.case import Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def running(x: torch.Tensor) -> torch.Tensor:
    """Sums over five columns, as differences of running sums."""
    sums = F.pad(F.pad(x, (2, 2)).cumsum(-1), (1, 0))
    return sums[..., 5:] - sums[..., :-5]


def cancels(r: Random) -> Case:
    """What is added and taken away again, and what looks like it."""
    ways = [
        lambda x, a, b: a(x) + (b(x) - b(x)),
        lambda x, a, b: (a(x) + b(x)) - b(x),
        lambda x, a, b: a(x) - b(x) + b(x).clone(),
        lambda x, a, b: torch.sub(a(x) + b(x), b(x)),
        lambda x, a, b: a(b(x) + x) - a(b(x)),
        lambda x, a, b: running(a(x)),
        lambda x, a, b: a(x) * b(x)[:, :1].softmax(1),
        lambda x, a, b: torch.fft.irfft2(torch.fft.rfft2(a(x)), s=x.shape[2:]),
        lambda x, a, b: F.avg_pool2d(a(x), 5, 1, 2) - F.avg_pool2d(a(x), 3, 1, 1),
        lambda x, a, b: a(x) + (-b(x) + b(x)).relu(),
        lambda x, a, b: x - a(x),
        lambda x, a, b: b(x) - a(x),
        lambda x, a, b: 2 * b(x) - b(x) + a(x),
        lambda x, a, b: a(x)[..., 2:] - a(x)[..., :-2],
        lambda x, a, b: a(x) - F.avg_pool2d(a(x), 3, 1, 1),
        lambda x, a, b: a(x).sigmoid() * x + (1 - a(x).sigmoid()) * b(x),
        lambda x, a, b: a(x) - a(x).mean(1, keepdim=True),
    ]
    how = r.choice(ways)
    return Case(kind="silent: cancels", make=lambda: Step(how, conv(), conv(k=5)))


def side_by_side(r: Random) -> Case:
    """Halves of a map that were treated otherwise, joined along a spatial axis."""
    axis, k, is_first = r.choice([2, 3]), r.choice([3, 5]), r.random() < 0.5

    def whole(x, a):
        return torch.cat([a(x), x] if is_first else [x, a(x)], axis)

    def halves(x, a):
        n = x.shape[axis]
        parts = a(x).split(n // 2, axis)[0], x.split(n // 2, axis)[1]
        return torch.cat(parts, axis)

    how = r.choice([whole, halves])
    return Case(kind="silent: side by side", make=lambda: Step(how, conv(k=k)), scales=False)


def turned(r: Random) -> Case:
    """Quarter turns, and a roll of all numbers in a row."""
    turns, shift = r.randint(0, 3), r.choice([-2, -1, 1, 2, 25])
    ways = [
        lambda x, a: torch.rot90(a(torch.rot90(x, turns, (2, 3))), -turns, (2, 3)),
        lambda x, a: a(torch.rot90(x, 2, (2, 3))),
        lambda x, a: a(x).roll(shift),
    ]
    how = r.choice(ways)
    return Case(kind="silent: turned", make=lambda: Step(how, conv()), scales=False)


def phases(r: Random) -> Case:
    """Outputs in turn read other positions of windows of one size."""
    stride, k = r.choice([2, 3]), r.choice([1, 2])

    def how(x, a):
        return F.interpolate(a(x), size=x.shape[2:], mode="bilinear") + x

    return Case(
        kind="silent: phases",
        make=lambda: Step(how, nn.Conv2d(3, 3, k, stride)),
        shapes=((1, 3, 36, 36),),
    )


def small_branch(r: Random) -> Case:
    """Another layer, reach or number for maps smaller than some length."""
    limit = r.choice([4, 7, 12, 18])

    def other_layer(x, a, b):
        return b(a(x)) if x.shape[-1] >= limit else a(x)

    def other_reach(x, a, b):
        d = min(2, max(1, x.shape[-2] // limit))
        return F.conv2d(x, a.weight, padding=d, dilation=d)

    def other_number(x, a, b):
        return a(x) * (2 if min(x.shape[2:]) > limit else 3)

    how = r.choice([other_layer, other_reach, other_number])
    return Case(
        kind="silent: small tiles",
        make=lambda: Step(how, conv(), conv(k=5)),
        shapes=((1, 3, 40, 40),),
    )


def by_class(r: Random) -> Case:
    """Another layer for tensors and parameters of the very class."""
    ways = [
        lambda x, a, b: b(x) if type(x) is torch.Tensor else a(x),
        lambda x, a, b: b(x) if type(a.weight) in (nn.Parameter,) else a(x),
        lambda x, a, b: {torch.Tensor: b}.get(type(a(x)), a)(x),
    ]
    how = r.choice(ways)
    return Case(
        kind="silent: by class", make=lambda: Step(how, conv(), conv(k=5)), tiles=True, counts=True
    )
