"""Branches on the size that only small tiles, or only large images, take."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo


class Net(nn.Module):
    """A function of the image and of layers of 3 x 3 and 5 x 5."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.a, self.b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 5, padding=2)
        self.w, self.v = (nn.Parameter(torch.randn(2, 2, 3, 3)) for _ in range(2))

    def forward(self, x):
        return self.run(self, x)


def reach(m, x):
    d = min(4, x.shape[-1] // 8)
    return F.conv2d(x, m.w, padding=d, dilation=d)


def another_weight(m, x):
    return F.conv2d(x, m.w if x.shape[-1] >= 24 else m.v, padding=1)


SMALL = {
    "another layer": lambda m, x: m.b(m.a(x)) if x.shape[-1] >= 24 else m.a(x),
    "another reach": reach,
    "another weight": another_weight,
    "another number": lambda m, x: m.a(x) * (2 if x.shape[-2] > 20 else 1),
    "another order": lambda m, x: m.a(m.b(x)) if min(x.shape[2:]) > 18 else m.b(m.a(x)),
}


@pytest.mark.parametrize("name", SMALL)
def test_tiles_are_wide_enough_for_the_branch_of_the_whole_image(name):
    """The smallest tile is one pixel with its halo on one side, since an image has a border."""
    net = Net(SMALL[name]).double()
    need = halo(net, (64, 64))
    assert need.alignment == (1, 1)
    image = torch.randn(1, 2, 160, 160, dtype=torch.float64)
    with torch.no_grad():
        whole = net(image)
        for start in (0, 70, 159):
            rows, columns = (slice(max(0, start - p), start + 1 + p) for p in need.pixels)
            tile = net(image[:, :, rows, columns])
            found = tile[:, :, start - rows.start, start - columns.start]
            assert torch.allclose(found, whole[:, :, start, start], atol=1e-12)


def test_it_is_as_wide_as_it_must_be_and_no_wider():
    """Branches at 24: one pixel and 23 of halo; none: 1 pixel for a layer of 3 x 3, 2 for 5 x 5."""
    assert halo(Net(SMALL["another layer"]), (64, 64)).pixels == (23, 23)
    assert halo(Net(lambda m, x: m.b(m.a(x))), (64, 64)).pixels == (3, 3)


LARGE = {
    "in one length": lambda m, x: (m.b if x.shape[-1] >= 200 else m.a)(x),
    "far away": lambda m, x: (m.b if x.shape[-2] > 3000 else m.a)(x),
    "in the aspect": lambda m, x: (m.b if x.shape[-2] > 4 * x.shape[-1] else m.a)(x),
    "in odd lengths": lambda m, x: (m.b if x.shape[-1] % 2 else m.a)(x),
}


@pytest.mark.parametrize("name", LARGE)
def test_another_branch_on_large_or_long_images_leaves_no_halo(name):
    need = halo(Net(LARGE[name]), (48, 48))
    assert not need.is_finite
    assert need.blockers[-1].kind == "shift-variant"


def test_padding_to_the_strides_is_no_other_branch():
    def padded(m, x):
        h, w = x.shape[2:]
        x = F.pad(x, (0, -w % 8, 0, -h % 8))
        return F.interpolate(m.a(F.max_pool2d(x, 8)), scale_factor=8)[:, :, :h, :w]

    assert halo(Net(padded), (64, 64)).alignment == (8, 8)
