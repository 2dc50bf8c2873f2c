"""Our average pool and response normalisation are torch's, where torch has them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks import LocalResponseNorm, average_pool


@pytest.mark.parametrize("stride", [1, 2])
def test_the_average_is_torchs_with_zeros_counted(stride):
    image, volume = torch.randn(2, 3, 7, 8), torch.randn(2, 3, 5, 6, 7)
    assert torch.equal(
        average_pool(stride=stride, spatial_dims=2)(image),
        F.avg_pool2d(image, 3, stride=stride, padding=1),
    )
    torch.testing.assert_close(
        average_pool(stride=stride, spatial_dims=3)(volume),
        F.avg_pool3d(volume, 3, stride=stride, padding=1),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_single_voxel_is_a_27th_of_itself(dtype):
    y = average_pool(stride=2, spatial_dims=3)(torch.full((1, 1, 1, 1, 1), 27.0, dtype=dtype))
    assert y.dtype == dtype
    assert y.item() == 1


@pytest.mark.parametrize("size", [(7, 6), (3, 4, 5)])
def test_the_response_normalisation_is_torchs(size):
    x = 20 * torch.randn(2, 9, *size)
    expected = nn.LocalResponseNorm(5, alpha=1e-2, beta=0.75)(x)
    torch.testing.assert_close(LocalResponseNorm(5, alpha=1e-2, beta=0.75)(x), expected)
    assert not torch.allclose(expected, x, rtol=0.1)
