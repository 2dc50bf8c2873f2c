"""Taps equal what torch's own kernels read, for many lengths."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis.fields.taps import (
    adaptive_taps,
    antialias_taps,
    pad_taps,
    resample_taps,
    transposed_taps,
    window_taps,
)


def reads(taps, outputs):
    return [{int(i) for i in taps.index[:, o] if i >= 0} for o in range(outputs)]


def support(op, length):
    """Input indices with a non-zero gradient, per output index."""
    jacobian = torch.autograd.functional.jacobian(
        lambda x: op(x[None, None])[0, 0], torch.rand(length, dtype=torch.float64)
    )
    return [set(np.flatnonzero(row.abs().numpy() > 1e-9).tolist()) for row in jacobian]


LENGTHS = [(n, m) for n in range(1, 14) for m in range(1, 14)]


def test_adaptive_windows_are_torchs():
    for n, m in LENGTHS:
        expected = support(lambda x, m=m: F.adaptive_avg_pool1d(x, m), n)
        assert reads(adaptive_taps(n, m), m) == expected, (n, m)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_positions_are_torchs(mode):
    for n, m in LENGTHS:
        taps = resample_taps(n, m, kind=mode, scale=Fraction(n, m), align_corners=False)
        expected = support(lambda x, m=m: F.interpolate(x, size=m, mode=mode), n)
        assert reads(taps, m) == expected, (n, m)


@pytest.mark.parametrize("align", [False, True])
def test_linear_neighbours_are_torchs(align):
    for n, m in LENGTHS:
        taps = resample_taps(n, m, kind="linear", scale=Fraction(n, m), align_corners=align)
        expected = support(
            lambda x, m=m: F.interpolate(x, size=m, mode="linear", align_corners=align), n
        )
        assert reads(taps, m) == expected, (n, m)


@pytest.mark.parametrize("align", [False, True])
def test_cubic_neighbours_are_torchs(align):
    for n, m in LENGTHS:
        taps = resample_taps(n, m, kind="cubic", scale=Fraction(n, m), align_corners=align)

        def cubic(x, m=m):
            return F.interpolate(x[..., None], size=(m, 1), mode="bicubic", align_corners=align)[
                ..., 0
            ]

        assert reads(taps, m) == support(cubic, n), (n, m)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_antialiased_filters_are_torchs(kind):
    for n, m in LENGTHS:

        def smooth(x, m=m):
            return F.interpolate(
                x[..., None], size=(m, 1), mode=f"bi{kind}", antialias=True, align_corners=False
            )[..., 0]

        taps = antialias_taps(n, m, kind=kind, scale=Fraction(n, m))
        assert reads(taps, m) == support(smooth, n), (n, m)


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.7, 1.5, 2.0, 2.5, 3.0])
def test_a_scale_factor_counts_for_itself_not_the_lengths(factor):
    for n in range(4, 14):
        m = int(n * factor)
        scale = 1 / Fraction(factor).limit_denominator(1 << 12)
        taps = resample_taps(n, m, kind="linear", scale=scale, align_corners=False)
        expected = support(lambda x: F.interpolate(x, scale_factor=factor, mode="linear"), n)
        assert reads(taps, m) == expected, n


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolution_and_its_transpose_read_what_torch_reads(stride, padding, dilation):
    kernel = torch.ones(1, 1, 3, dtype=torch.float64)
    settings = {"kernel": 3, "stride": stride, "padding": padding, "dilation": dilation}
    for n in range(7, 11):
        for make, op in (
            (window_taps, lambda x: F.conv1d(x, kernel, None, stride, padding, dilation)),
            (
                transposed_taps,
                lambda x: F.conv_transpose1d(x, kernel, None, stride, padding, dilation=dilation),
            ),
        ):
            expected = support(op, n)
            assert reads(make(n, len(expected), **settings), len(expected)) == expected


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_padding_reads_what_torch_reads(mode):
    for before, after in [(0, 0), (2, 1), (1, 3), (3, 0)]:
        expected = support(lambda x, p=(before, after): F.pad(x, p, mode=mode), 5)
        assert reads(pad_taps(5, before, after, mode), len(expected)) == expected
