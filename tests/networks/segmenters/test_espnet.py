"""ESPNet: published parameters and MACs, and any size."""

from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.errors import ShapeError
from atrous.networks.catalog import build_network
from atrous.networks.segmenters.espnet import ESPNetEncoder, espnet, espnet_c


def num_params(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("q", "encoder_only", "plain_skip", "joined_skip"),
    [
        (3, 187_529, 202_649, 203_189),
        (5, 252_297, 267_417, 267_957),
        (8, 349_449, 364_569, 365_109),
    ],
)
def test_parameters_are_the_measured_ones_of_the_originals(
    q, encoder_only, plain_skip, joined_skip
):
    assert num_params(espnet_c(q=q)) == encoder_only
    assert num_params(espnet(q=q, joins_image_in_skip=False)) == plain_skip
    assert num_params(espnet(q=q)) == joined_skip


@pytest.mark.parametrize(("num_classes", "params"), [(19, 363_462), (12, 354_517), (11, 353_437)])
def test_parameters_for_other_numbers_of_classes(num_classes, params):
    assert num_params(espnet(num_classes=num_classes)) == params


@pytest.mark.parametrize(
    ("network", "size", "gmacs"),
    [
        *(
            pytest.param(partial(factory, q=q, **more), (512, 1024), gmacs, id=f"{title} q{q}")
            for title, factory, more, row in [
                ("encoder", espnet_c, {}, (2.159, 2.684, 3.470)),
                ("plain skip", espnet, {"joins_image_in_skip": False}, (3.399, 3.923, 4.709)),
                ("joined skip", espnet, {}, (3.470, 3.994, 4.780)),
            ]
            for q, gmacs in zip((3, 5, 8), row, strict=True)
        ),
        pytest.param(lambda: espnet(num_classes=12), (360, 480), 1.335, id="camvid"),
    ],
)
def test_macs_are_the_measured_ones_of_the_originals(network, size, gmacs):
    # SPEC 12, convolutions only, counted by torch's own counter at 2 FLOPs a MAC.
    with torch.device("meta"):
        model = network().eval()
        x = torch.empty(1, 3, *size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(x)
    assert counter.get_total_flops() / 2 / 1e9 == pytest.approx(gmacs, abs=5e-4)


@pytest.mark.parametrize("factory", [espnet, espnet_c])
@pytest.mark.parametrize(
    "size", [(1, 1), (7, 9), (16, 24), (33, 34)], ids=lambda size: "x".join(map(str, size))
)
def test_any_size_gives_logits_of_that_size(factory, size):
    network = factory(num_classes=4, p=1, q=1).eval()
    assert network(torch.rand(2, 3, *size)).shape == (2, 4, *size)


def test_a_size_that_does_not_divide_is_padded_with_zeros_and_cropped():
    network = espnet(num_classes=4, p=1, q=1).eval()
    x = torch.randn(1, 3, 21, 30)
    padded = torch.zeros(1, 3, 24, 32)
    padded[..., :21, :30] = x
    assert torch.equal(network(x), network(padded)[..., :21, :30])


def test_a_volume_gives_logits_of_its_size():
    network = espnet(num_classes=3, in_channels=2, p=1, q=1, spatial_dims=3).eval()
    assert network(torch.rand(1, 2, 9, 10, 17)).shape == (1, 3, 9, 10, 17)


@pytest.mark.parametrize("joined", [True, False])
def test_the_encoder_gives_what_it_declares(joined):
    encoder = ESPNetEncoder(in_channels=2, p=1, q=2, joins_image_in_skip=joined).eval()
    maps = encoder(torch.rand(1, 2, 32, 48))
    assert tuple(m.shape[1] for m in maps) == encoder.out_channels
    assert tuple(32 // m.shape[2] for m in maps) == encoder.reductions
    assert tuple(48 // m.shape[3] for m in maps) == encoder.reductions


def test_every_parameter_learns():
    network = espnet(num_classes=3, p=1, q=1)
    network(torch.rand(2, 3, 16, 24)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5])
def test_few_classes_give_as_many_logits(num_classes):
    network = espnet(num_classes=num_classes, p=1, q=1).eval()
    assert network(torch.rand(1, 3, 16, 16)).shape == (1, num_classes, 16, 16)


@pytest.mark.parametrize("argument", ["in_channels", "num_classes"])
@pytest.mark.parametrize("name", ["espnet", "shufflenet_v1_g3"])
def test_no_channels_or_classes_are_refused(name, argument):
    with pytest.raises(ShapeError, match=f"{argument}=0; expected at least 1"):
        build_network(name, {argument: 0})


def test_no_blocks_in_a_stage_are_refused():
    with pytest.raises(ShapeError, match="p=2 and q=0"):
        espnet(q=0)
