"""ESP of Y-Net and 3D-ESPNet: weights by formula, what they see, what they refuse."""

import pytest
import torch
from torch import nn

from atrous.blocks.conv import identity
from atrous.blocks.esp.esp import ESPBlock
from atrous.blocks.esp.medical import NormedESPBlock, WideESPBlock
from atrous.errors import ShapeError

dims = pytest.mark.parametrize("spatial_dims", [2, 3])
SIZE = (9, 10, 11)


def num_conv_weights(module):
    return sum(p.numel() for p in module.parameters() if p.ndim > 2)


def no_norm(channels, *, spatial_dims):  # noqa: ARG001 - the signature of a norm
    return nn.Identity()


@dims
def test_the_wide_block_has_the_weights_of_its_formula(spatial_dims):
    block = WideESPBlock(128, spatial_dims=spatial_dims)
    kernel = 3**spatial_dims
    assert num_conv_weights(block) == 2 * kernel * 128**2 // 4


@dims
def test_the_wide_block_keeps_size_and_channels(spatial_dims):
    x = torch.rand(2, 9, *SIZE[:spatial_dims])
    assert WideESPBlock(9, spatial_dims=spatial_dims).eval()(x).shape == x.shape


def test_the_wide_block_sees_two_positions_more_than_esp():
    fields = []
    for block in (
        WideESPBlock(8, norm=no_norm, act=identity),
        ESPBlock(8, 8, dilations=(1, 2, 4, 8), norm=no_norm, act=identity),
    ):
        for parameter in block.parameters():
            nn.init.ones_(parameter)
        x = torch.zeros(1, 8, 41, 41, requires_grad=True)
        block(x)[0, :, 20, 20].sum().backward()
        seen = x.grad.abs().sum(dim=(0, 1)).nonzero()
        fields.append(int(seen.max() - seen.min()) + 1)
    assert fields == [19, 17]


@dims
@pytest.mark.parametrize(("channels", "stride"), [((16, 32), 1), ((32, 32), 1), ((32, 32), 2)])
def test_the_normed_block_has_the_weights_of_its_formula(spatial_dims, channels, stride):
    m, n = channels
    block = NormedESPBlock(m, n, stride=stride, spatial_dims=spatial_dims).eval()
    assert num_conv_weights(block) == m * n // 4 + 3**spatial_dims * n**2 // 4
    size = SIZE[:spatial_dims]
    expected = (2, n, *(-(-length // stride) for length in size))
    assert block(torch.rand(2, m, *size)).shape == expected
    assert block.is_residual == (m == n and stride == 1)


def test_the_normed_block_adds_its_input_after_the_normalisation():
    block = NormedESPBlock(8, 8, act=identity, spatial_dims=2).eval()
    nn.init.zeros_(block.norm.weight)
    x = torch.randn(1, 8, 5, 6)
    torch.testing.assert_close(block(x), x)


def test_a_volume_one_voxel_deep_is_an_image():
    volume = NormedESPBlock(4, 8, spatial_dims=3).eval()
    image = NormedESPBlock(4, 8, spatial_dims=2).eval()
    state = {
        key: t[:, :, t.shape[2] // 2] if t.ndim == 5 else t
        for key, t in volume.state_dict().items()
    }
    image.load_state_dict(state)
    x = torch.rand(1, 4, 9, 10)
    torch.testing.assert_close(volume(x[:, :, None])[:, :, 0], image(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WideESPBlock(3), "at least one channel per branch, but has 3"),
        (lambda: WideESPBlock(8, dilations=()), "at least one channel per branch"),
        (lambda: NormedESPBlock(8, 10), "expected a multiple of 4"),
        (lambda: NormedESPBlock(8, 0), "at least one channel per branch"),
    ],
)
def test_channels_that_do_not_fit_the_branches_are_refused(build, message):
    with pytest.raises(ShapeError, match=message):
        build()
