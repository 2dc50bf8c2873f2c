"""A tile with its halo gives what the whole image gives, and with less it does not."""

from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo


class UNet(nn.Module):
    """Encoder and decoder with skips; `up` makes the layer that doubles the size."""

    def __init__(self, up, *, depth=2, width=4):
        super().__init__()
        self.down = nn.ModuleList(
            nn.Conv2d(3 if i == 0 else width, width, 3, padding=1) for i in range(depth + 1)
        )
        self.up = nn.ModuleList(up(width) for _ in range(depth))
        self.join = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        skips = []
        for layer in self.down[:-1]:
            skips.append(F.leaky_relu(layer(x), 0.5))
            x = F.max_pool2d(skips[-1], 2)
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join, strict=True):
            x = F.leaky_relu(join(torch.cat([up(x), skips.pop()], 1)), 0.5)
        return self.head(x)


class ToInputSize(nn.Module):
    """A body, and its map resized to the input, as segmenters do."""

    def __init__(self, body, **how):
        super().__init__()
        self.body, self.how = body, how

    def forward(self, x):
        return F.interpolate(self.body(x), size=x.shape[2:], **self.how)


def conv(kernel=3, **settings):
    settings.setdefault("padding", settings.get("dilation", 1) * (kernel - 1) // 2)
    return nn.Conv2d(3, 3, kernel, **settings)


NETWORKS = {
    "plain": lambda: nn.Sequential(conv(), nn.ReLU(), conv(5)),
    "dilated": lambda: nn.Sequential(conv(), conv(dilation=4), conv(dilation=2)),
    "strided": lambda: nn.Sequential(conv(7, stride=2), nn.MaxPool2d(3, 2, 1), conv()),
    "even kernels": lambda: nn.Sequential(conv(4, stride=2, padding=1), conv(2, padding=0)),
    "no padding": lambda: nn.Sequential(conv(padding=0), conv(5, padding=0)),
    "reflected": lambda: nn.Sequential(
        conv(padding_mode="reflect"), conv(padding_mode="replicate"), conv()
    ),
    "transposed 2": lambda: UNet(lambda w: nn.ConvTranspose2d(w, w, 2, 2)),
    "transposed 4": lambda: UNet(lambda w: nn.ConvTranspose2d(w, w, 4, 2, 1)),
    "transposed 3": lambda: UNet(lambda w: nn.ConvTranspose2d(w, w, 3, 2, 1, 1)),
    "bilinear": lambda: UNet(lambda _: nn.Upsample(scale_factor=2, mode="bilinear")),
    "nearest": lambda: UNet(lambda _: nn.Upsample(scale_factor=2), depth=3),
    "resized": lambda: ToInputSize(
        nn.Sequential(conv(stride=2), conv(stride=2), conv()), mode="bilinear", align_corners=False
    ),
    "bicubic": lambda: ToInputSize(conv(stride=2), mode="bicubic", align_corners=False),
    "pixel shuffle": lambda: nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.PixelShuffle(2), conv()
    ),
    "times one and a half": lambda: nn.Sequential(
        conv(stride=2), nn.Upsample(scale_factor=1.5, mode="bilinear"), conv()
    ),
    "sparse transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 1, 2), conv(stride=2)),
    "joined parts": lambda: JoinedParts(),
}


class JoinedParts(nn.Module):
    """Joins maps of six and two channels, each of which is itself joined of unlike fields."""

    def __init__(self):
        super().__init__()
        self.narrow, self.wide = conv(), nn.Conv2d(3, 3, 5, padding=2)

    def forward(self, x):
        six = torch.cat([x, self.narrow(x)], dim=1)
        two = torch.cat([x[:, :1], self.wide(x)[:, :1]], dim=1)
        return torch.cat([six, two], dim=1)


class Rolled(nn.Module):
    def forward(self, x):
        return x + x.roll((2, 1), (2, 3))


class Image:
    """A random image that is long along one axis, what a model makes of it, and of tiles of it."""

    def __init__(self, model, axis, step, length):
        self.model, self.axis = model, axis
        size = [24 * step, 24 * step]
        size[axis] = length
        self.image = torch.randn(1, 3, *size, dtype=torch.float64)
        self.whole = self.tile(0, length)
        grown = self.whole.shape[axis + 2] - self.tile(0, length - step).shape[axis + 2]
        self.jump = Fraction(step, grown)  # input pixels per output
        self.shift = int((length - self.whole.shape[axis + 2] * self.jump) / 2)

    def tile(self, start, stop):
        with torch.no_grad():
            return self.model(self.image.narrow(self.axis + 2, start, stop - start))

    def error(self, start, stop, margin):
        """Largest difference between a tile with a margin and the image, on `[start, stop)`."""
        tile = self.tile(start - margin, stop + margin)
        first = int((start - self.shift) / self.jump)
        skipped = int(Fraction(start - margin) / self.jump)
        count = int((stop - start) / self.jump)
        if tile.shape[self.axis + 2] < first - skipped + count:
            return float("inf")  # the tile has no output there
        expected = self.whole.narrow(self.axis + 2, first, count)
        found = tile.narrow(self.axis + 2, first - skipped, count)
        return (found - expected).abs().max().item()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_with_halo_equal_the_whole_and_with_one_step_less_do_not(name, axis):
    torch.manual_seed(0)
    model = NETWORKS[name]().double().eval()
    need = halo(model, (64, 64))
    assert need.is_finite
    assert not need.blockers
    step, pixels = need.alignment[axis], need.pixels[axis]
    start = pixels + 8 * step
    image = Image(model, axis, step, length=2 * start + 8 * step)
    assert image.error(start, start + 8 * step, pixels) < 1e-5
    assert image.error(start, start + 8 * step, pixels - step) > 1e-5


@pytest.mark.parametrize(
    ("name", "before", "after", "alignment"),
    [
        ("plain", 3, 3, 1),
        ("dilated", 7, 7, 1),
        # In positions: 2 at stride 2, then 2 at stride 4, then 3 at stride 4; after: 1, 1, 2.
        ("strided", 12, 8, 4),
        ("no padding", 3, 3, 1),
        # Down: 1, 2 at stride 2, 2 at stride 4; up: 4 and 1 at stride 2, then 10 and 1.
        ("transposed 2", 11, 11, 4),
    ],
)
def test_margins_that_can_be_counted_by_hand(name, before, after, alignment):
    need = halo(NETWORKS[name](), (64, 64))
    assert need.before == (before, before)
    assert need.after == (after, after)
    assert need.alignment == (alignment, alignment)
    assert all(p % alignment == 0 and p >= max(before, after) for p in need.pixels)


def test_inference_mode_changes_nothing():
    network = UNet(lambda width: nn.Upsample(scale_factor=2, mode="nearest"))  # noqa: ARG005
    expected = halo(network, (64, 64))
    with torch.inference_mode():
        assert halo(network, (64, 64)) == expected


def test_volumes_have_a_halo_per_axis():
    model = nn.Sequential(nn.Conv3d(1, 1, (1, 3, 5), padding=(0, 1, 2)), nn.MaxPool3d((1, 2, 2)))
    need = halo(model, (8, 16, 16))
    assert need.pixels == (0, 2, 2)
    assert need.alignment == (1, 2, 2)


class Excite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, x):
        x = self.conv(x)
        return x * x.mean((2, 3), keepdim=True)


class Pyramid(Excite):
    def forward(self, x):
        x = self.conv(x)
        return x + F.interpolate(F.adaptive_avg_pool2d(x, 4), size=x.shape[2:], mode="bilinear")


class Positions(Excite):
    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, 3, 8, 8))

    def forward(self, x):
        return self.conv(x) + F.interpolate(self.place, size=x.shape[2:])


class Corner(Excite):
    def forward(self, x):
        return self.conv(x)[..., :9, :9]


class Centre(Excite):
    def forward(self, x):
        x = self.conv(x)
        return x + x[..., x.shape[-2] // 2 :, :].mean(2, keepdim=True)


class FixedSize(Excite):
    def forward(self, x):
        return self.conv(x.view(1, 3, 64, 64))


BLOCKED = {
    "one size only": (FixedSize, "shift-variant", "fixed size"),
    "squeeze and excite": (Excite, "global", "mean"),
    "pooling pyramid": (Pyramid, "shift-variant", ""),
    "positions": (Positions, "shift-variant", "add"),
    "fixed corner": (Corner, "shift-variant", ""),
    "half of the image": (Centre, "shift-variant", ""),
    "align corners": (
        lambda: ToInputSize(conv(stride=2), mode="bilinear", align_corners=True),
        "shift-variant",
        "upsample_bilinear2d",
    ),
    "instance norm": (
        lambda: nn.Sequential(conv(), nn.InstanceNorm2d(3)),
        "global",
        "native_batch_norm",
    ),
    "flip": (lambda: Flip(), "shift-variant", "flip"),
    "rolled": (lambda: nn.Sequential(conv(), Rolled()), "wraps", "roll"),
    "circular": (lambda: nn.Sequential(conv(padding_mode="circular"), conv()), "wraps", "copy_"),
}


class Flip(nn.Module):
    def forward(self, x):
        return x.flip(-1)


@pytest.mark.parametrize("name", BLOCKED)
def test_networks_that_no_halo_makes_exact_say_why(name):
    make, kind, op = BLOCKED[name]
    need = halo(make().eval(), (64, 64), in_channels=3)
    assert not need.is_finite
    assert need.pixels == (None, None)
    assert need.blockers
    assert need.blockers[0].kind == kind
    assert op in need.blockers[0].op


def test_a_layer_before_the_global_op_still_has_a_halo():
    net = nn.Sequential(conv(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))
    assert halo(net, (64, 64), output="1").pixels == (2, 2)
    assert not halo(net, (64, 64)).is_finite
