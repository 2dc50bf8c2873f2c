"""Weights of images in networks for volumes: equal slices are answered as one slice."""

import pytest
import torch
from torch import nn

from atrous.errors import ShapeError
from atrous.networks.catalog import build_network
from atrous.networks.convert.inflate import inflate
from atrous.networks.encoders.catalog import create_encoder


def settle(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.double().eval()


def volume(x: torch.Tensor, depth: int) -> torch.Tensor:
    """Equal slices, as `(B, C, depth, H, W)`."""
    return x.unsqueeze(2).expand(-1, -1, depth, -1, -1)


# How many of the first maps can be compared: those whose receptive field the depth leaves room for.
DEPTH = 160
ENCODERS = [
    ("vgg11", 4),  # fields 4, 10, 30, 70
    ("resnet18", 3),  # fields 7, 43, 99
    ("googlenet", 3),
    ("googlenet_torchvision", 3),
    ("shufflenet_v1_g2", 3),
    ("shufflenet_v2_x0_5", 3),
    ("espnetv2_0_5", 2),
]


@pytest.mark.parametrize(("name", "num_maps"), ENCODERS)
@torch.no_grad()
def test_the_middle_of_a_volume_of_equal_slices_is_answered_as_the_slice(name, num_maps):
    flat = settle(create_encoder(name, in_channels=1))
    deep = create_encoder(name, in_channels=1, spatial_dims=3).double().eval()
    deep.load_state_dict(inflate(flat.state_dict(), deep))
    x = torch.randn(1, 1, 33, 35, dtype=torch.float64)
    maps, expected = deep(volume(x, DEPTH)), flat(x)
    for actual, wanted in list(zip(maps, expected, strict=True))[:num_maps]:
        middle = actual[:, :, actual.shape[2] // 2]
        torch.testing.assert_close(middle, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["resnet18", "googlenet_torchvision", "shufflenet_v2_x0_5"])
@torch.no_grad()
def test_with_all_weight_in_the_centre_whole_classifiers_answer_alike(name):
    flat = settle(build_network(name, {"num_classes": 5}))
    deep = build_network(name, {"num_classes": 5, "spatial_dims": 3}).double().eval()
    deep.load_state_dict(inflate(flat.state_dict(), deep, filling="centre"))
    x = torch.randn(1, 3, 33, 40, dtype=torch.float64)
    torch.testing.assert_close(deep(volume(x, 34)), flat(x), rtol=1e-9, atol=1e-9)


def test_the_share_of_each_slice_adds_up_to_the_kernel():
    flat = nn.Conv2d(2, 3, 5)
    deep = nn.Conv3d(2, 3, 5)
    inflated = inflate(flat.state_dict(), deep)
    torch.testing.assert_close(inflated["weight"].sum(dim=2), flat.weight.data)
    assert torch.equal(inflated["bias"], flat.bias.data)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (4, 2)])
@torch.no_grad()
def test_transposed_convolutions_share_by_the_taps_that_overlap(kernel, stride):
    flat = nn.Sequential(nn.ConvTranspose2d(2, 3, kernel, stride=stride))
    deep = nn.Sequential(nn.ConvTranspose3d(2, 3, kernel, stride=stride))
    deep.load_state_dict(inflate(flat.state_dict(), deep))
    x = torch.randn(1, 2, 4, 5)
    y = deep(volume(x, 8))
    torch.testing.assert_close(y[:, :, y.shape[2] // 2], flat(x))


def test_espnet_inflates_too():
    arguments = {"num_classes": 6, "p": 1, "q": 1}
    flat = settle(build_network("espnet", arguments))
    deep = build_network("espnet", {**arguments, "spatial_dims": 3}).double().eval()
    deep.load_state_dict(inflate(flat.state_dict(), deep))
    assert deep.up1.weight.shape == (6, 6, 2, 2, 2)


@pytest.mark.parametrize(
    ("flat", "deep", "filling", "message"),
    [
        (nn.Conv2d(2, 3, 3), nn.Conv3d(2, 4, 3), "mean", "where only a depth may be added"),
        (nn.Conv2d(2, 3, 3), nn.Conv3d(2, 3, 3, bias=False), "mean", "'bias', which is only in 2D"),
        (nn.Conv2d(2, 3, 2), nn.Conv3d(2, 3, 2), "centre", "an even depth of 2, so no centre"),
        (
            nn.Sequential(nn.ConvTranspose2d(1, 1, 3, stride=2)),
            nn.Sequential(nn.ConvTranspose3d(1, 1, 3, stride=2)),
            "mean",
            "only multiples can be inflated",
        ),
        (
            nn.Sequential(nn.ConvTranspose2d(1, 1, 4, stride=2)),
            nn.Sequential(nn.ConvTranspose3d(1, 1, 4, stride=2)),
            "centre",
            "it has no one centre",
        ),
    ],
)
def test_what_cannot_be_inflated_is_refused_by_what_it_is(flat, deep, filling, message):
    with pytest.raises(ShapeError, match=message):
        inflate(flat.state_dict(), deep, filling=filling)
