"""EfficientNet-Lite answers as timm's, at even and odd sizes."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.blocks.same_padding import SamePad
from atrous.networks.catalog import NETWORKS, build_network
from atrous.networks.classifiers.efficientnet_lite import SCALES
from atrous.networks.encoders.catalog import create_encoder


def pair(scale):
    """Ours and timm's with the same random weights."""
    torch.manual_seed(int(scale))
    ours = build_network(f"efficientnet_lite{scale}").eval()
    theirs = timm.create_model(f"tf_efficientnet_lite{scale}", pretrained=False).eval()
    state = ours.state_dict()
    for name, tensor in state.items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.normal_(0.0, 0.2)
    names = theirs.state_dict().keys()
    theirs.load_state_dict(dict(zip(names, state.values(), strict=True)))
    return ours, theirs


@pytest.mark.parametrize("scale", SCALES)
@torch.inference_mode()
def test_answers_as_timms(scale):
    ours, theirs = pair(scale)
    for size in ((64, 96), (33, 47)):
        x = torch.randn(2, 3, *size)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_costs_as_much_as_timms(scale):
    entry, counts = NETWORKS[f"efficientnet_lite{scale}"], []
    with torch.device("meta"):
        theirs = timm.create_model(f"tf_efficientnet_lite{scale}", pretrained=False)
        for network in (entry.build(), theirs):
            with FlopCounterMode(display=False) as counter:
                network.eval()(torch.empty(1, 3, *entry.size))
            parameters = sum(parameter.numel() for parameter in network.parameters())
            counts.append((parameters, counter.get_total_flops()))
    assert counts[0] == counts[1]


@torch.inference_mode()
def test_the_encoder_gives_the_maps_of_timms():
    ours, theirs = pair("0")
    maps = ours.encoder(x := torch.randn(1, 3, 64, 97))
    features = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True)
    features.load_state_dict(theirs.state_dict(), strict=False)
    for found, expected in zip(maps, features.eval()(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    encoder = create_encoder("efficientnet_lite0")
    assert encoder.out_channels == tuple(features.feature_info.channels())
    assert encoder.reductions == tuple(features.feature_info.reduction())


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_gives_the_length_divided_and_rounded_up(kernel_size, stride):
    pad = SamePad(kernel_size, stride=stride)
    for length in range(1, 20):
        padded = pad(torch.ones(1, 1, length, length + 1))
        for found, before in zip(padded.shape[2:], (length, length + 1), strict=True):
            assert (found - kernel_size) // stride + 1 == -(-before // stride)
            assert found - before <= kernel_size - 1
        (ones,) = padded[0, 0].any(dim=1).nonzero(as_tuple=True)
        front, behind = int(ones[0]), padded.shape[2] - 1 - int(ones[-1])
        assert behind - front in (0, 1)
