"""Models into which positions come: coordinates, tables, counts at the border, noise."""

from random import Random

import torch
from tests.analysis.fuzz.case import DTYPE, Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def ramp(x, kind: int):
    """A map that tells the row, made in one of several ways."""
    b, _, h, w = x.shape
    ones = torch.ones(b, 1, h, w, dtype=x.dtype)
    if kind == 0:
        return torch.linspace(-1, 1, h, dtype=x.dtype).view(1, 1, h, 1).expand(b, 1, h, w)
    if kind == 1:
        return ones.cumsum(2) / h
    if kind == 2:
        return torch.arange(h, dtype=x.dtype).div(h)[:, None].repeat(b, 1, 1, w)
    if kind == 3:
        return torch.meshgrid(
            torch.linspace(0, 1, h, dtype=x.dtype),
            torch.linspace(0, 1, w, dtype=x.dtype),
            indexing="ij",
        )[0].expand(b, 1, h, w)
    if kind == 4:
        return torch.ones_like(x[:, :1]).tril()
    if kind == 5:
        return F.affine_grid(
            torch.eye(2, 3, dtype=x.dtype)[None].expand(b, 2, 3), [b, 1, h, w], align_corners=False
        )[..., 1][:, None]
    if kind == 6:
        return torch.where(torch.arange(h)[:, None] > h // 2, ones, 0 * ones)
    if kind == 7:
        return (torch.ones_like(x[:, :1]).cumsum(2) > 5).to(x.dtype)
    return torch.zeros_like(x[:, :1]).index_fill(2, torch.arange(h // 2), 1.0)


def coordinates(r: Random) -> Case:
    """Coordinates meet the map by one of many ops: no halo is right."""
    kind, way = r.randrange(9), r.randrange(8)

    def run(x, layer, wide):
        p = ramp(x, kind)
        if way == 0:
            return wide(torch.cat([x, p], 1))
        if way == 1:
            return layer(x) + p
        if way == 2:
            return torch.stack([layer(x), p.expand_as(x)]).sum(0)
        if way == 3:
            return torch.where(p > 0.3, layer(x), x)
        if way == 4:
            return layer(x * p)
        if way == 5:
            y = layer(x).clone()
            y[:, :1] = p
            return y + x
        if way == 6:
            return torch.baddbmm(
                layer(x)[0], p[0].expand_as(x[0]), torch.eye(x.shape[-1]).expand(3, -1, -1).to(x)
            )[None]
        return torch.einsum("bchw,bdhw->bchw", layer(x), p)

    return Case(
        kind="positions: coordinates",
        make=lambda: Step(run, conv(), conv(4)),
        shapes=((1, 3, 24, 24),),
    )


def learned_table(r: Random) -> Case:
    """A learned map, resized to the image."""
    mode = r.choice(["bilinear", "nearest"])

    def run(x, layer, table):
        return layer(x) + F.interpolate(table, size=x.shape[2:], mode=mode)

    return Case(
        kind="positions: learned table",
        make=lambda: Step(run, conv(), nn.Parameter(torch.rand(1, 3, 6, 6))),
    )


def border_count(r: Random) -> Case:
    """Constants that differ near the border only: a halo is right if it covers them."""
    way = r.randrange(6)

    def run(x, layer):
        ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
        if way == 0:
            count = F.avg_pool2d(ones, 5, 1, 2, count_include_pad=True)
        elif way == 1:
            count = F.conv2d(ones, torch.ones(1, 1, 7, 7, dtype=x.dtype), padding=3) / 49
        elif way == 2:
            count = F.pad(ones[..., 4:-4, 4:-4], (4, 4, 4, 4))
        elif way == 3:
            count = ones.clone()
            count[:, :, :3] = 0
        elif way == 4:
            count = F.pad(ones, (0, 0, 5, 0))[:, :, : x.shape[2]]
        else:
            count = F.fold(F.unfold(ones, 3, padding=1), tuple(x.shape[2:]), 3, padding=1)
        return layer(x) * (count + 1)

    return Case(kind="positions: near the border", make=lambda: Step(run, conv()))


def zero_padded_constant(r: Random) -> Case:
    """A bias before zero padding: the border differs, and the halo covers it."""

    kernel = r.choice([3, 5])

    def run(x, a, b):
        return b(torch.sigmoid(a(x)) + 3)

    return Case(
        kind="positions: padding of constants",
        make=lambda: Step(run, conv(k=kernel), conv()),
        tiles=True,
        counts=True,
    )


def noise(r: Random) -> Case:
    """Random numbers laid over the map: a tile gets others."""
    way = r.randrange(6)

    def run(x, layer):
        y = layer(x)
        if way == 0:
            return y + torch.randn_like(y)
        if way == 1:
            return y * torch.rand(y.shape, dtype=y.dtype)
        if way == 2:
            return y + torch.empty_like(y).uniform_()
        if way == 3:
            return F.dropout(y, 0.3, training=True)
        if way == 4:
            return torch.normal(torch.zeros_like(y), 1.0) + y
        return torch.cat([y, torch.bernoulli(torch.full_like(y, 0.5))], 1)

    return Case(kind="positions: noise", make=lambda: Step(run, conv()))


def checkerboard(r: Random) -> Case:
    """A constant that repeats itself: no halo, or one with its period as alignment."""
    way = r.randrange(3)

    def run(x, layer):
        h = x.shape[2]
        rows = (torch.arange(h) % 2).to(x.dtype).view(1, 1, h, 1) + 0.5
        if way == 0:
            return layer(x) * rows
        if way == 1:
            y = layer(x).clone()
            y[:, :, ::2] = 0
            return y
        return torch.where(rows > 1, layer(x), x)

    return Case(kind="positions: checkerboard", make=lambda: Step(run, conv()))


def embedded(r: Random) -> Case:
    """Positions looked up in a table of embeddings."""

    def run(x, layer, table):
        rows = table(torch.arange(x.shape[2])).T[None, :, :, None]
        return layer(x) + rows

    return Case(
        kind="positions: embedding",
        make=lambda: Step(run, conv(), nn.Embedding(512, 3, dtype=DTYPE)),
    )


def two_images(r: Random) -> Case:
    """Two images on one grid, cut alike, have a halo unless one is mixed as a whole."""
    runs = [
        (lambda x, y, a: a(x) - a(y), True),
        (lambda x, y, a: a(torch.maximum(x, y)), True),
        (lambda x, y, a: a(x) * y, True),
        (lambda x, y, a: x + a(a(y)), True),
        (lambda x, y, a: a(x) * y.mean((2, 3), keepdim=True), False),
        (lambda x, y, a: a(x) + y.roll(1, 3), False),
        (lambda x, y, a: a(x) + y[:, :, :1], False),
        (lambda x, y, a: a(x) + y.flip(2), False),
    ]
    run, tiles = r.choice(runs)
    return Case(
        kind="positions: two images",
        make=lambda: Step(run, conv()),
        shapes=((1, 3, 32, 24), (1, 3, 32, 24)),
        tiles=tiles,
        counts=True,
    )


def wraps(r: Random) -> Case:
    """Maps that are closed to a ring: the field is that on the ring, the border needs the seam."""
    way = r.randrange(5)

    def run(x, layer):
        if way == 0:
            return layer(F.pad(x, (1, 1, 1, 1), mode="circular"))
        if way == 1:
            return layer(F.pad(F.pad(x, (2, 2, 0, 0), mode="circular"), (0, 0, 1, 1)))
        if way == 2:
            return torch.cat([x.roll(1, 2), layer(F.pad(x, (1, 1, 1, 1)))], 1)
        if way == 3:
            long = x.repeat(1, 1, 1, 3)
            w = x.shape[-1]
            return layer(long[..., w - 2 : 2 * w + 2])
        return layer(torch.cat([x[..., -2:], x, x[..., :2]], -1))

    return Case(kind="positions: wraps", make=lambda: Step(run, nn.Conv2d(3, 3, 3, dtype=DTYPE)))
