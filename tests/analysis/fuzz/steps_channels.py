"""Steps at one position: activations, channels, constants of one value, branches that join."""

from random import Random

import torch
from tests.analysis.fuzz.case import Step
from tests.analysis.fuzz.steps_window import CONV
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid, nn.Softplus, nn.ELU, nn.Mish,
    nn.LeakyReLU, nn.Tanh, nn.Softsign, nn.LogSigmoid, nn.Hardtanh,
)  # fmt: skip


def activation(r: Random, c: int, n: int) -> nn.Module:
    return r.choice(ACTIVATIONS)()


def activation_inplace(r: Random, c: int, n: int) -> nn.Module:
    act = r.choice([nn.ReLU, nn.Hardswish, nn.SiLU, nn.LeakyReLU, nn.ELU])(inplace=True)
    return Step(lambda x, act: act(x.clone()), act)


def prelu(r: Random, c: int, n: int) -> nn.Module:
    return nn.PReLU(r.choice([1, c])).double()


def batch_norm(r: Random, c: int, n: int) -> nn.Module:
    return {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[n](c).double().eval()


def _several(c: int) -> None:
    """Refuse so few channels that a norm or a softmax over them is constant."""
    if c < 3:
        raise ValueError(f"{c} channels are too few")


def channel_norm(r: Random, c: int, n: int) -> nn.Module:
    _several(c)
    return Step(
        lambda x, norm: norm(x.movedim(1, -1)).movedim(-1, 1),
        r.choice([nn.LayerNorm, nn.RMSNorm])(c),
    )


def channel_softmax(r: Random, c: int, n: int) -> nn.Module:
    _several(c)
    run = r.choice(
        [lambda x: x + x.softmax(1), lambda x: x + x.log_softmax(1), lambda x: x - F.softmin(x, 1)]
    )
    return Step(run)


def channel_sort(r: Random, c: int, n: int) -> nn.Module:
    _several(c)
    run = r.choice(
        [
            lambda x: x.sort(1)[0],
            lambda x: x.topk(max(1, x.shape[1] // 2), 1)[0],
            lambda x: x.flip(1),
            lambda x: x.roll(1, 1),
            lambda x: x.cumsum(1),
            lambda x: x.amax(1, keepdim=True),
            lambda x: x.std(1, keepdim=True, correction=0) + x,
            lambda x: F.normalize(x, dim=1),
        ]
    )
    return Step(run)


def channel_parts(r: Random, c: int, n: int) -> nn.Module:
    def run(x, layer):
        a, b = x[:, :1], x[:, 1:]
        return torch.cat([b, layer(a)], 1)

    return Step(run, CONV[n](1, 1, 3, padding=1))


def channel_shuffle(r: Random, c: int, n: int) -> nn.Module:
    groups = r.choice([g for g in range(1, c + 1) if c % g == 0])

    def run(x):
        b, channels, *s = x.shape
        return x.view(b, groups, channels // groups, *s).transpose(1, 2).reshape(b, channels, *s)

    return Step(run)


def channels_last(r: Random, c: int, n: int) -> nn.Module:
    return Step(
        lambda x, layer: layer(x.movedim(1, -1)).movedim(-1, 1), nn.Linear(c, r.randint(1, 4))
    )


def einsum(r: Random, c: int, n: int) -> nn.Module:
    return Step(
        lambda x, w: torch.einsum("bc...,oc->bo...", x, w),
        nn.Parameter(torch.rand(r.randint(1, 4), c)),
    )


def gated(r: Random, c: int, n: int) -> nn.Module:
    return nn.Sequential(CONV[n](c, 2 * c, 3, padding=1).double(), nn.GLU(1))


def branches(r: Random, c: int, n: int) -> nn.Module:
    joins = [
        torch.add, torch.mul, torch.maximum, lambda a, b: torch.cat([a, b], 1),
        lambda a, b: torch.stack([a, b]).amax(0), lambda a, b: torch.where(a > b, a, b),
        lambda a, b: torch.lerp(a, b, 0.3), lambda a, b: a.clone().add_(b),
        lambda a, b: torch.addcmul(a, a, b), torch.hypot, lambda a, b: a.masked_fill(b > 0.5, 0.0),
    ]  # fmt: skip
    join = r.choice(joins)
    dilation = r.randint(1, 3)
    wide = CONV[n](c, c, 3, padding=dilation, dilation=dilation)
    return Step(lambda x, a, b: join(a(x), b(x)), wide, CONV[n](c, c, 1))


def shortcut(r: Random, c: int, n: int) -> nn.Module:
    return Step(lambda x, layer: x + layer(x).relu(), CONV[n](c, c, 3, padding=1))


def constant_like(r: Random, c: int, n: int) -> nn.Module:
    run = r.choice(
        [
            lambda x, layer: torch.where(layer(x) > 0, x, torch.zeros_like(x)),
            lambda x, layer: torch.ones_like(x) * 0.5 + layer(x),
            lambda x, layer: torch.full_like(x, 0.3) * layer(x),
            lambda x, layer: layer(x) - x.new_ones(x.shape),
            lambda x, layer: layer(x) + x.new_zeros(x.shape[2:]),
            lambda x, layer: torch.zeros(x.shape, dtype=x.dtype) + layer(x),
            lambda x, layer: torch.empty_like(x).fill_(2.0) * layer(x),
            lambda x, layer: x.new_full(x.shape, 0.1).add_(layer(x)),
        ]
    )
    return Step(run, CONV[n](c, c, 3, padding=1))


def fixed_channels(r: Random, c: int, n: int) -> nn.Module:
    order = torch.tensor(r.sample(range(c), c))
    run = r.choice(
        [
            lambda x: x[:, order],
            lambda x: x.index_select(1, order),
            lambda x: torch.stack(x.unbind(1)[::-1], 1),
            lambda x: torch.cat(x.chunk(2, 1), 1),
            lambda x: x.repeat_interleave(2, 1),
            lambda x: x.tile((1, 2, *(1,) * n)),
        ]
    )
    return Step(run)


def standardised_weight(r: Random, c: int, n: int) -> nn.Module:
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]

    def run(x, layer):
        weight = layer.weight / (layer.weight.abs().sum((1, *range(2, n + 2)), keepdim=True) + 1)
        return function(x, weight, layer.bias, padding=1)

    return Step(run, CONV[n](c, c, 3))


def casts(r: Random, c: int, n: int) -> nn.Module:
    run = r.choice(
        [
            lambda x: x.to(torch.float32).double(),
            lambda x: torch.complex(x, 2 * x).abs(),
            lambda x: torch.view_as_real(torch.complex(x, -2 * x)).sum(-1),
            lambda x: (x > 0).double() * x,
        ]
    )
    return Step(run)
