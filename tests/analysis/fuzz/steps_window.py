"""Steps that slide a window, resize or pad, in one, two or three dimensions."""

from random import Random

import torch
from tests.analysis.fuzz.case import Step
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
LP_POOL = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
UNPOOL = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def conv(r: Random, c: int, n: int) -> nn.Module:
    kernel, dilation = r.choice([1, 3, 3, 5]), r.choice([1, 1, 2])
    padding = dilation * (kernel - 1) // 2
    groups = r.choice([1, 1, c])
    mode = r.choice(["zeros", "zeros", "reflect", "replicate"])
    out = c if groups == c else r.randint(1, 4)
    return CONV[n](
        c, out, kernel, padding=padding, dilation=dilation, groups=groups, padding_mode=mode
    ).double()


def conv_uneven(r: Random, c: int, n: int) -> nn.Module:
    kernel = tuple(r.randint(1, 4) for _ in range(n))
    dilation = tuple(r.randint(1, 2) for _ in range(n))
    return CONV[n](c, r.randint(1, 3), kernel, padding=r.randint(0, 2), dilation=dilation).double()


def conv_strided(r: Random, c: int, n: int) -> nn.Module:
    return CONV[n](c, r.randint(1, 4), r.choice([2, 3, 4]), stride=2, padding=1).double()


def conv_circular(r: Random, c: int, n: int) -> nn.Module:
    return CONV[n](c, c, 3, padding=1, padding_mode="circular").double()


def conv_transposed(r: Random, c: int, n: int) -> nn.Module:
    stride = r.randint(1, 3)
    dilation = r.choice([1, 1, 2])
    extra = r.randint(0, max(stride, dilation) - 1)
    return TRANSPOSED[n](
        c, r.randint(1, 3), r.randint(1, 4), stride, r.randint(0, 1), extra, dilation=dilation
    ).double()


def max_pool(r: Random, c: int, n: int) -> nn.Module:
    kernel = r.randint(2, 3)
    return MAX_POOL[n](kernel, r.randint(1, 2), r.randint(0, 1), r.randint(1, 2))


def avg_pool(r: Random, c: int, n: int) -> nn.Module:
    kernel = r.randint(2, 3)
    return AVG_POOL[n](kernel, r.randint(1, 2), r.randint(0, 1), count_include_pad=r.random() < 0.5)


def pool_rounded_up(r: Random, c: int, n: int) -> nn.Module:
    return r.choice([MAX_POOL, AVG_POOL])[n](3, 2, 1, ceil_mode=True)


def lp_pool(r: Random, c: int, n: int) -> nn.Module:
    return Step(lambda x: LP_POOL[n](x, 2.0, 2, 2))


def adaptive_pool(r: Random, c: int, n: int) -> nn.Module:
    pool, size = r.choice([ADAPTIVE_AVG, ADAPTIVE_MAX])[n], r.randint(1, 5)
    return Step(lambda x: pool(x, (size,) * n))


def unpool(r: Random, c: int, n: int) -> nn.Module:
    def run(x, down, up):
        y, indices = down(x)
        return up(y, indices, output_size=x.shape[2:])

    return Step(run, MAX_POOL[n](2, return_indices=True), UNPOOL[n](2))


def nearest(r: Random, c: int, n: int) -> nn.Module:
    return nn.Upsample(scale_factor=2, mode=r.choice(["nearest", "nearest-exact"]))


def nearest_odd(r: Random, c: int, n: int) -> nn.Module:
    factor, mode = r.choice([0.5, 0.6, 1.5, 3.0]), r.choice(["nearest", "nearest-exact"])
    return Step(lambda x: F.interpolate(x, scale_factor=factor, mode=mode))


def linear(r: Random, c: int, n: int) -> nn.Module:
    return nn.Upsample(scale_factor=r.choice([2, 3]), mode=LINEAR[n])


def linear_odd(r: Random, c: int, n: int) -> nn.Module:
    return nn.Upsample(
        scale_factor=r.choice([0.5, 1.5, 2.0]), mode=LINEAR[n], align_corners=r.random() < 0.5
    )


def bicubic(r: Random, c: int, n: int) -> nn.Module:
    return nn.Upsample(scale_factor=r.choice([2, 3]), mode="bicubic")


def smooth_resize(r: Random, c: int, n: int) -> nn.Module:
    mode, factor = r.choice(["bilinear", "bicubic"]), r.choice([0.5, 0.75, 2.0])
    return Step(
        lambda x: F.interpolate(
            x, scale_factor=factor, mode=mode, antialias=True, align_corners=False
        )
    )


def area_resize(r: Random, c: int, n: int) -> nn.Module:
    factor = r.choice([0.5, 2.0])
    return Step(lambda x: F.interpolate(x, scale_factor=factor, mode="area"))


def to_size_of_input(r: Random, c: int, n: int) -> nn.Module:
    def run(x, body):
        return F.interpolate(body(x), size=x.shape[2:], mode=LINEAR[n], align_corners=False)

    return Step(run, CONV[n](c, c, 3, 2, 1))


def pad(r: Random, c: int, n: int) -> nn.Module:
    mode = r.choice(["constant", "reflect", "replicate"])
    amounts = [r.randint(0, 2) for _ in range(2 * n)]
    return Step(lambda x: F.pad(x, amounts, mode=mode))


def pad_circular(r: Random, c: int, n: int) -> nn.Module:
    amounts = [r.randint(1, 2) for _ in range(2 * n)]
    return Step(lambda x: F.pad(x, amounts, mode="circular"))


def crop(r: Random, c: int, n: int) -> nn.Module:
    amounts = [-r.randint(0, 2) for _ in range(2 * n)]
    return Step(lambda x: F.pad(x, amounts))


def pixel_shuffle(r: Random, c: int, n: int) -> nn.Module:
    return nn.Sequential(CONV[2](c, 4 * c, 3, padding=1), nn.PixelShuffle(2)).double()


def pixel_unshuffle(r: Random, c: int, n: int) -> nn.Module:
    return nn.PixelUnshuffle(2)


def columns(r: Random, c: int, n: int) -> nn.Module:
    kernel = r.choice([2, 3])

    def run(x):
        y = F.unfold(x, kernel, padding=1, stride=2)
        high = (x.shape[2] + 2 - kernel) // 2 + 1
        return y.view(x.shape[0], y.shape[1], high, -1)[:, : 2 * c]

    return Step(run)


def folded(r: Random, c: int, n: int) -> nn.Module:
    def run(x):
        return F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1)

    return Step(run)


def windows(r: Random, c: int, n: int) -> nn.Module:
    dim, size, step = r.randint(2, n + 1), r.randint(2, 3), r.randint(1, 2)
    return Step(lambda x: x.unfold(dim, size, step).mean(-1))


def parity_split(r: Random, c: int, n: int) -> nn.Module:
    def run(x):
        even = x[..., : x.shape[-1] // 2 * 2]
        return torch.cat([even[..., ::2], even[..., 1::2]], 1)

    return Step(run)
