"""Tiles that are cut alike from two inputs: what is done to the second counts too."""

import pytest
import torch
from tests.analysis.fuzz.case import Case
from tests.analysis.fuzz.tiles import tile_fault
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo

NET = Case(kind="", make=nn.Identity, shapes=((1, 3, 32, 24), (1, 3, 32, 24)))


class Pair(nn.Module):
    """A function of two images and two layers, of 3 x 3 and 5 x 5."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.a = nn.Conv2d(3, 3, 3, padding=1, dtype=torch.float64)
        self.b = nn.Conv2d(3, 3, 5, padding=2, dtype=torch.float64)

    def forward(self, x, y):
        return self.run(x, y, self.a, self.b)


def circular(x, y, a, b):
    return a(x) + F.conv2d(F.pad(y, (2, 2, 2, 2), mode="circular"), b.weight)


def pooled_to_a_grid(x, y, a, _):
    return a(x) + F.interpolate(F.adaptive_avg_pool2d(y, 2), size=x.shape[2:])


def attended(x, y, a, _):
    tokens = y.flatten(2).transpose(1, 2)
    seen = F.scaled_dot_product_attention(tokens, tokens, tokens)
    return a(x) + seen.transpose(1, 2).view_as(x)


NOT_TILEABLE = {
    "mean": lambda x, y, a, _: a(x) * y.mean((2, 3), keepdim=True),
    "mean of rows": lambda x, y, a, _: a(x) * y.mean(3, keepdim=True),
    "roll": lambda x, y, a, _: a(x) + y.roll(1, 3),
    "flip": lambda x, y, a, _: a(x) + y.flip(3),
    "first row": lambda x, y, a, _: a(x) + y[:, :, :1],
    "one pixel": lambda x, y, a, _: a(x) * y[0, 0, 0, 0],
    "sum over rows": lambda x, y, a, _: a(x) + y.cumsum(2),
    "circular": circular,
    "grid": pooled_to_a_grid,
    "attention": attended,
}


@pytest.mark.parametrize("run", NOT_TILEABLE.values(), ids=NOT_TILEABLE)
def test_no_halo_where_the_second_input_allows_none(run):
    inputs = [torch.zeros(shape, dtype=torch.float64) for shape in NET.shapes]
    assert not halo(Pair(run), (32, 24), inputs=inputs).is_finite


TILEABLE = {
    "difference": (lambda x, y, a, _: a(x) - a(y), (1, 1), (1, 1)),
    "the second is wider": (lambda x, y, a, b: x + b(a(y)), (3, 3), (1, 1)),
    "the first is wider": (lambda x, y, a, b: b(a(x)) * y, (3, 3), (1, 1)),
    "mean of channels": (lambda x, y, a, _: a(x) * y.mean(1, keepdim=True), (1, 1), (1, 1)),
    "strides": (lambda x, y, a, _: F.max_pool2d(a(x), 2) + F.avg_pool2d(y, 2), (2, 2), (2, 2)),
}


@pytest.mark.parametrize(("run", "pixels", "alignment"), TILEABLE.values(), ids=TILEABLE)
def test_the_halo_is_the_wider_of_both_and_tiles_equal_the_whole(run, pixels, alignment):
    inputs = [torch.zeros(shape, dtype=torch.float64) for shape in NET.shapes]
    need = halo(Pair(run), (32, 24), inputs=inputs)
    assert (need.pixels, need.alignment) == (pixels, alignment)
    case = Case(kind="", make=lambda: Pair(run), shapes=NET.shapes)
    assert tile_fault(case, pixels, alignment) is None


def test_an_input_of_half_the_resolution_is_cut_at_its_own_pixels():
    """The 5 x 5 layer on the coarse grid reads 2 of its pixels more, 4 of the fine grid."""
    inputs = [torch.zeros(1, 3, 32, 24), torch.zeros(1, 3, 16, 12)]
    model = Pair(lambda x, y, a, b: a(x) + F.interpolate(b(y), scale_factor=2.0))
    need = halo(model, (32, 24), inputs=[t.double() for t in inputs])
    assert (need.pixels, need.alignment) == ((4, 4), (2, 2))
