"""The breast-biopsy network: its parts against their description, any size, surroundings."""

import pytest
import torch

from atrous.errors import ShapeError
from atrous.networks.classifiers.resnet import resnet18
from atrous.networks.segmenters.biopsy import BiopsyNetwork, biopsy
from atrous.networks.segmenters.biopsy_parts import InputAwareEncoder


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return biopsy(num_classes=3).eval()


def test_parameters_are_those_of_the_described_layers():
    classes = 8

    def conv(before, after, kernel=1, *, bias=False):
        return before * after * kernel**2 + (after if bias else 2 * after)  # or a normalisation

    with torch.device("meta"):
        residual = sum(p.numel() for p in resnet18().encoder.parameters())
    image_units = 2 * (3 * 64 + 64 + conv(64, 64, 3))
    links = (
        [conv(64, width) for width in (256, 128, 64)]  # of reduction 2
        + [conv(64, width) for width in (256, 128)] * 2  # two of reduction 4
        + [conv(128, 256)]  # of reduction 8
    )
    widths = (512, 256, 128, 64, 64, 64)
    dense = sum(conv(widths[i], widths[i + 1], 3) for i in range(5)) + conv(64, classes)
    sparse = sum(conv(width, classes, bias=True) for width in (512, 256, 128, 64, 64, 64))
    sparse += 4 * conv(classes, classes)
    finest, merge = conv(3, classes, 3), conv(classes, classes, 3)
    view = residual + image_units + sum(links) + dense + sparse + finest + merge
    context = 6 * conv(classes, classes, 3)
    head = conv(classes, classes, 3) + conv(classes, classes, bias=True)

    with torch.device("meta"):
        found = sum(p.numel() for p in biopsy().parameters())
    assert found == 2 * view + context + head + 2 * 3


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (97, 131)])
def test_any_size_gives_logits_of_that_size(network, size):
    assert network(torch.rand(3, 3, *size)).shape == (3, 3, *size)


def test_the_published_patch_gives_logits_of_its_centre(network):
    assert network.forward_with_surroundings(torch.rand(1, 3, 384, 384)).shape == (1, 3, 256, 256)


def test_an_image_alone_is_surrounded_by_its_border(network):
    x = torch.rand(1, 3, 32, 40)
    patch = torch.nn.functional.pad(x, [64, 64, 64, 64], mode="replicate")
    assert torch.equal(network(x), network.forward_with_surroundings(patch))


def test_surroundings_matter():
    network = biopsy(num_classes=3)
    network.forward_with_surroundings(torch.rand(2, 3, 160, 160))  # running statistics
    network.eval()
    patch = torch.rand(1, 3, 160, 160)
    other = patch.clone()
    other[..., :32, :] = 1 - other[..., :32, :]
    y, z = network.forward_with_surroundings(patch), network.forward_with_surroundings(other)
    assert not torch.allclose(y, z)


def test_a_network_without_margin_sees_the_image_twice():
    network = biopsy(num_classes=3, margin=0).eval()
    x = torch.rand(1, 3, 33, 64)
    assert torch.equal(network(x), network.forward_with_surroundings(x))


def test_the_encoder_gives_what_it_declares():
    encoder = InputAwareEncoder(in_channels=2).eval()
    maps = encoder(torch.rand(1, 2, 64, 96))
    assert tuple(m.shape[1] for m in maps) == encoder.out_channels
    assert tuple(96 // m.shape[3] for m in maps) == encoder.reductions


def test_the_encoder_is_the_residual_network_where_the_image_adds_nothing():
    encoder = InputAwareEncoder().eval()
    for unit in encoder.image_units:
        torch.nn.init.zeros_(unit[1].norm.weight)
    x = torch.rand(1, 3, 64, 64)
    maps, expected = encoder(x), encoder.resnet(x)
    assert all(torch.equal(maps[i], e) for i, e in zip((0, 2, 3, 4, 5), expected, strict=True))


def test_weights_of_a_classifier_load_into_its_encoder():
    classifier, network = resnet18(), biopsy(num_classes=3)
    for view in (network.wide, network.close):
        view.encoder.resnet.load_state_dict(classifier.encoder.state_dict())


def test_a_volume_gives_logits_of_its_size():
    network = biopsy(num_classes=2, in_channels=1, margin=8, spatial_dims=3).eval()
    assert network(torch.rand(1, 1, 9, 10, 17)).shape == (1, 2, 9, 10, 17)


def test_every_parameter_learns():
    network = biopsy(num_classes=4, margin=16)
    network(torch.rand(4, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_patch_without_centre_is_refused(network):
    with pytest.raises(ShapeError, match="at least 129"):
        network.forward_with_surroundings(torch.rand(1, 3, 128, 200))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32), (1, 3, 0, 32), (1, 3, 8, 8, 8)])
def test_input_of_another_kind_is_refused(network, shape):
    with pytest.raises(ShapeError, match="expected 4 axes, the second of length 3"):
        network(torch.rand(shape))


@pytest.mark.parametrize("arguments", [{"num_classes": 0}, {"num_classes": 2, "margin": -1}])
def test_no_classes_or_a_negative_margin_are_refused(arguments):
    with pytest.raises(ShapeError, match="at least one class and a margin of at least 0"):
        BiopsyNetwork(**arguments)
