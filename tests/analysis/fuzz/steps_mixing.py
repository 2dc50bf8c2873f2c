"""Steps that see a whole axis, treat places apart, or read where the values say."""

from random import Random

import torch
import torchvision
from tests.analysis.fuzz.case import Step
from tests.analysis.fuzz.steps_window import CONV
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def space(n: int) -> tuple[int, ...]:
    return tuple(range(2, n + 2))


def squeeze_excite(r: Random, c: int, n: int) -> nn.Module:
    return Step(
        lambda x, a: x * a(x.abs().mean(space(n), keepdim=True)).sigmoid(), CONV[n](c, c, 1)
    )


def statistics(r: Random, c: int, n: int) -> nn.Module:
    instance = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[n]
    return r.choice([nn.GroupNorm(1, c), instance(c, affine=True)]).double()


def axis_softmax(r: Random, c: int, n: int) -> nn.Module:
    dim = r.choice(space(n))
    run = r.choice(
        [
            lambda x: x + x.softmax(dim),
            lambda x: x + x.amax(dim, keepdim=True),
            lambda x: x + x.median(dim, keepdim=True)[0],
            lambda x: x / (1 + x.abs().sum(dim, keepdim=True)),
            lambda x: x.sort(dim)[0],
        ]
    )
    return Step(run)


def accumulate(r: Random, c: int, n: int) -> nn.Module:
    dim = r.choice(space(n))
    run = r.choice([torch.cumsum, torch.logcumsumexp, lambda x, d: torch.cummax(x, d)[0]])
    return Step(lambda x: run(x * 0.1, dim))


def flip(r: Random, c: int, n: int) -> nn.Module:
    dim = r.choice(space(n))
    return Step(lambda x: x + x.flip(dim))


def roll(r: Random, c: int, n: int) -> nn.Module:
    dim, shift = r.choice(space(n)), r.choice([-2, -1, 1, 2])
    return Step(lambda x: torch.cat([x, x.roll(shift, dim)], 1))


def pad_by_mirror(r: Random, c: int, n: int) -> nn.Module:
    dim = r.choice(space(n))

    def run(x, layer):
        y = torch.cat([x.narrow(dim, 0, 2).flip(dim), x], dim)
        return layer(y)

    return Step(run, CONV[n](c, c, 3, padding=1))


def dense_axis(r: Random, c: int, n: int) -> nn.Module:
    def run(x, layer):
        return x + layer(x.mean(-1, keepdim=True).movedim(1, -1)).movedim(-1, 1)

    return Step(run, nn.Linear(c, c))


def attention(r: Random, c: int, n: int) -> nn.Module:
    """Rows attend to rows; each is the mean along the last axis, so that they stay few."""

    def tokens(x):
        return (x.mean(-1, keepdim=True) if n > 1 else x).flatten(2).transpose(1, 2)

    def back(t, x):
        t = t.transpose(1, 2)
        return x + t.view(*t.shape[:2], *x.shape[2:-1], 1) if n > 1 else x + t

    def by_kernel(x):
        t = tokens(x)
        return back(F.scaled_dot_product_attention(t, t, t), x)

    def by_hand(x):
        t = tokens(x)
        return back((t @ t.transpose(1, 2)).softmax(-1) @ t, x)

    return Step(r.choice([by_kernel, by_hand]))


def masked_taps(r: Random, c: int, n: int) -> nn.Module:
    """A convolution that a constant keeps from looking forwards."""
    kernel = r.choice([3, 5])
    mask = torch.ones(*(kernel,) * n, dtype=torch.float64)
    mask[kernel // 2 + 1 :] = 0
    layer = CONV[n](c, c, kernel, padding=kernel // 2)
    layer.register_buffer("mask", mask)
    return Step(lambda x, conv: conv._conv_forward(x, conv.weight * conv.mask, conv.bias), layer)


def sampled(r: Random, c: int, n: int) -> nn.Module:
    """Reads where another layer says."""

    def by_grid(x, offset):
        grid = offset(x)[:, :2].movedim(1, -1).tanh()
        return F.grid_sample(x, grid, align_corners=False)

    def by_deformable(x, offset):
        weight = torch.ones(2, c, 3, 3, dtype=x.dtype)
        return torchvision.ops.deform_conv2d(x, offset(x), weight, padding=1)

    return Step(r.choice([by_grid, by_deformable]), CONV[2](c, 18, 1))


def gathered(r: Random, c: int, n: int) -> nn.Module:
    def by_argmax(x, layer):
        at = layer(x).mean(1, keepdim=True).argmax(-1, keepdim=True).expand(-1, c, *(-1,) * n)
        return x + x.gather(-1, at)

    def by_scatter(x, layer):
        order = layer(x).argsort(-1)
        return torch.zeros_like(x).scatter(-1, order, x)

    return Step(r.choice([by_argmax, by_scatter]), CONV[n](c, c, 1))


def fourier(r: Random, c: int, n: int) -> nn.Module:
    return Step(lambda x: torch.fft.irfft(torch.fft.rfft(x).abs(), n=x.shape[-1]) + x)
