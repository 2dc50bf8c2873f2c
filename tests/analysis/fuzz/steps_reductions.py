"""Steps that reduce, multiply matrices, split, scatter and pool by boxes: one of each op."""

from random import Random

import torch
import torchvision
from tests.analysis.fuzz.case import DTYPE, Step
from tests.analysis.fuzz.steps_mixing import space
from tests.analysis.fuzz.steps_window import CONV
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

REDUCTIONS = (
    lambda x, d: x.amin(d, keepdim=True),
    lambda x, d: x.argmin(d, keepdim=True).to(x.dtype),
    lambda x, d: x.argmax(d, keepdim=True).to(x.dtype),
    lambda x, d: torch.aminmax(x, dim=d, keepdim=True)[1],
    lambda x, d: x.kthvalue(1, d, keepdim=True)[0],
    lambda x, d: x.logsumexp(d, keepdim=True),
    lambda x, d: x.max(d, keepdim=True)[0],
    lambda x, d: x.min(d)[0].unsqueeze(d),
    lambda x, d: x.mode(d, keepdim=True)[0],
    lambda x, d: x.nansum(d, keepdim=True),
    lambda x, d: (x * 0.1 + 1).prod(d, keepdim=True),
    lambda x, d: torch.std_mean(x, d, correction=0, keepdim=True)[0],
    lambda x, d: torch.var_mean(x, d, correction=0, keepdim=True)[1],
    lambda x, d: x.var(d, correction=0, keepdim=True),
    lambda x, d: x.norm(2, d, keepdim=True),
    lambda x, d: (x > -0.5).all(d, keepdim=True).to(x.dtype),
    lambda x, d: (x > 0.9).double().count_nonzero(d).unsqueeze(d).to(x.dtype),
)
"""What is left along one dimension, kept at length one."""


def over_channels(r: Random, c: int, n: int) -> nn.Module:
    reduce = r.choice(REDUCTIONS)
    return Step(lambda x, layer: x + reduce(layer(x), 1), CONV[n](c, c + 2, 1))


def over_an_axis(r: Random, c: int, n: int) -> nn.Module:
    reduce, dim = r.choice(REDUCTIONS), r.choice(space(n))
    return Step(lambda x: x + reduce(x, dim))


def over_everything(r: Random, c: int, n: int) -> nn.Module:
    total = r.choice(
        [
            lambda x: x.max(),
            lambda x: x.min(),
            lambda x: (x * 0.01 + 1).prod(),
            lambda x: x.median(),
            lambda x: torch.dot(x.flatten(), x.flatten()) / x.numel(),
            lambda x: x.norm(),
            lambda x: x.triu().sum(),
            lambda x: x.take(torch.arange(x.numel())).sum() / x.numel(),
        ]
    )
    return Step(lambda x: x + total(x))


def products(r: Random, c: int, n: int) -> nn.Module:
    def matrix_by_vector(x, v):
        flat = x.movedim(1, -1)
        return x + torch.mv(flat.reshape(-1, c), v).view(flat.shape[:-1]).unsqueeze(1)

    def added(x, v):
        flat = x.movedim(1, -1).reshape(-1, c)
        y = torch.addmv(flat[:, 0], flat, v)
        return x + y.view(x.shape[0], 1, *x.shape[2:])

    def outer(x, v):
        return x + torch.outer(v, v).sum(1).view(1, c, *(1,) * n)

    return Step(r.choice([matrix_by_vector, added, outer]), nn.Parameter(torch.rand(c)))


def bilinear(r: Random, c: int, n: int) -> nn.Module:
    def run(x, layer, conv):
        a, b = x.movedim(1, -1), conv(x).movedim(1, -1)
        return layer(a.contiguous(), b.contiguous()).movedim(-1, 1)

    return Step(run, nn.Bilinear(c, c, 2), CONV[n](c, c, 3, padding=1))


def split(r: Random, c: int, n: int) -> nn.Module:
    def run(x, layer):
        y = layer(x)
        a, b, d = y.split([1, 2, 1], 1)
        e, f = torch.tensor_split(b, 2, 1)
        return torch.cat([a * d, e + f, F.channel_shuffle(y, 2)], 1)

    return Step(run, CONV[n](c, 4, 3, padding=1))


def strided_view(r: Random, c: int, n: int) -> nn.Module:
    def run(x, layer):
        y = layer(x).contiguous()
        return torch.as_strided(y, y.shape, y.stride()) + x

    return Step(run, CONV[n](c, c, 3, padding=1))


def put_by_index(r: Random, c: int, n: int) -> nn.Module:
    """Writes to constant places of the channels."""
    at, how = torch.tensor([c - 1]), r.choice(["add", "copy", "scatter", "put"])

    def run(x, layer):
        near = layer(x)
        y = torch.zeros_like(x)
        if how == "add":
            return y.index_add(1, at, near[:, :1]) + x
        if how == "copy":
            return y.index_copy(1, at, near[:, :1]) + x
        if how == "scatter":
            where = torch.zeros_like(x, dtype=torch.long)
            return y.scatter_add(1, where, near) + x
        return y.index_put((torch.tensor([0]), at), near[:, 0]) + x

    return Step(run, CONV[n](c, c, 3, padding=1))


def boxes(r: Random, c: int, n: int) -> nn.Module:
    """Pools constant or computed boxes and lays what comes out over the map."""
    pool = r.choice([torchvision.ops.roi_align, torchvision.ops.roi_pool])

    def run(x, layer):
        size = layer(x).mean((2, 3)).abs()[:, :1].clamp(2, 8)
        box = torch.cat([torch.zeros_like(size).expand(-1, 3), size, size], 1)
        return x + pool(x, box, (1, 1)).mean((2, 3), keepdim=True)

    return Step(run, CONV[2](c, 1, 1))


def more_sums(r: Random, c: int, n: int) -> nn.Module:
    dim = r.choice(space(n))
    run = r.choice(
        [
            lambda x: (x * 0.1 + 1).cumprod(dim),
            lambda x: x.cummin(dim)[0],
            lambda x: torch.fft.fftn(x, dim=(dim,)).abs(),
            lambda x: x.triu() + x,
        ]
    )
    return Step(run)


def heads(r: Random, c: int, n: int) -> nn.Module:
    """Attention of two heads by the fused kernel, masked or causal."""
    causal = r.random() < 0.5

    def run(x, layer):
        rows = layer(x.mean(-1, keepdim=True) if n > 1 else x).flatten(2).transpose(1, 2)
        q = rows.view(*rows.shape[:2], 2, 4).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, q, q, is_causal=causal).mean((1, 3))
        shape = (*x.shape[2:-1], 1) if n > 1 else x.shape[2:]
        return x + y.view(x.shape[0], 1, *shape)

    return Step(run, CONV[n](c, 8, 1))


def sampled_volume(r: Random, c: int, n: int) -> nn.Module:
    def run(x, offset):
        return F.grid_sample(x, offset(x).movedim(1, -1).tanh(), align_corners=False)

    return Step(run, nn.Conv3d(c, 3, 1, dtype=DTYPE))
