"""3D-ESPNet: cost, any size, working size, and the outputs of the original."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.errors import DataError, ShapeError
from atrous.networks.catalog import build_network
from atrous.networks.convert.espnet3d import convert_espnet3d, is_espnet3d
from atrous.networks.segmenters.espnet3d import ESPNet3DEncoder, espnet3d


def authors_shapes(*, num_classes=4, in_channels=4):
    """Names and shapes of the authors' file, written from SPEC 6."""
    shapes = {}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def unit(name, before, channels, kernel):
        shapes[f"{name}.conv.weight"] = (channels, before, kernel, kernel, kernel)
        norm(f"{name}.bn", channels)

    def esp(name, before, channels):
        n = channels // 4
        unit(f"{name}.c1", before, n, 1)
        for branch in (1, 2, 4, 8):
            shapes[f"{name}.d{branch}.conv.weight"] = (n, n, 3, 3, 3)
        norm(f"{name}.bn", channels)

    def kernels(name, channels):
        for branch, kernel in ((1, 3), (2, 5), (4, 7), (8, 9)):
            unit(f"{name}.d{branch}", channels, channels, kernel)

    c = num_classes
    unit("level0", in_channels, 16, 7)
    for name, before, channels in (
        ("level1.0", 16, 32), ("level1.1", 32, 32), ("level2", 32, 128), ("level_2.0", 128, 128),
        ("level_2.1", 128, 128), ("level3_0", 128, 256), ("level_3.0", 256, 256),
        ("level_3.1", 256, 256), ("level_3.2", 256, 256), ("merge_l2", 256, 128),
        ("dec_l2.0", 128, 128), ("dec_l2.1", 128, 128), ("merge_l1", 64, 32), ("dec_l1.0", 32, 32),
        ("dec_l1.1", 32, 32),
    ):  # fmt: skip
        esp(name, before, channels)
    unit("up_l3_l2.up", 256, 128, 3)
    unit("up_l2_l1.up", 128, 32, 3)
    unit("dec_l1.2", 32, c, 3)
    kernels("dec_l1.3", c)
    for index in range(4):
        unit(f"pspModules.{index}.features", c, c, 3)
    unit("classifier.0", 5 * c, c, 3)
    kernels("classifier.1", c)
    unit("classifier.3", c, c, 7)
    shapes["classifier.4.conv.weight"] = (c, c, 1, 1, 1)
    return shapes


def test_parameters_and_macs_are_the_measured_ones_of_the_original():
    with torch.device("meta"):
        network, x = espnet3d().eval(), torch.empty(1, 4, 128, 128, 128)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    assert sum(p.numel() for p in network.parameters()) == 3_626_584
    assert counter.get_total_flops() / 2 / 1e9 == pytest.approx(76.34, abs=5e-3)


@pytest.mark.parametrize("size", [(1, 1, 1), (8, 8, 8), (5, 9, 13), (33, 34, 35)])
def test_any_size_gives_logits_of_that_size(size):
    network = espnet3d(num_classes=3, in_channels=2).eval()
    assert network(torch.rand(1, 2, *size)).shape == (1, 3, *size)


def test_an_image_gives_logits_of_its_size():
    network = espnet3d(num_classes=3, in_channels=1, spatial_dims=2).eval()
    assert network(torch.rand(3, 1, 21, 34)).shape == (3, 3, 21, 34)


def test_a_volume_is_averaged_to_the_working_size_and_its_logits_sampled_back():
    network = espnet3d(num_classes=3, in_channels=1).eval()
    x = torch.rand(1, 1, 16, 32, 16)
    pooled = torch.nn.functional.avg_pool3d(x, (1, 2, 1))
    expected = torch.nn.functional.interpolate(
        network(pooled), size=(16, 32, 16), mode="trilinear", align_corners=True
    )
    torch.testing.assert_close(network(x, working_size=(16, 16, 16)), expected)


def test_the_working_size_is_the_volumes_rounded_up_unless_it_is_given():
    network = espnet3d(num_classes=3, in_channels=1).eval()
    x = torch.rand(1, 1, 9, 16, 17)
    assert torch.equal(network(x), network(x, working_size=(16, 16, 24)))


@pytest.mark.parametrize("working_size", [(16, 16), (16, 16, 20), (0, 16, 16)])
def test_a_working_size_that_cannot_be_halved_three_times_is_refused(working_size):
    with pytest.raises(ShapeError, match="expected 3 multiples of 8"):
        espnet3d().eval()(torch.rand(1, 4, 16, 16, 16), working_size=working_size)


def test_the_encoder_gives_what_it_declares():
    encoder = ESPNet3DEncoder(in_channels=2).eval()
    maps = encoder(torch.rand(1, 2, 16, 24, 32))
    assert tuple(m.shape[1] for m in maps) == encoder.out_channels
    assert tuple(32 // m.shape[4] for m in maps) == encoder.reductions


def test_every_parameter_learns():
    network = espnet3d(num_classes=3, in_channels=1)
    network(torch.rand(2, 1, 16, 24, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 16, 16, 16), r"expected \(B, C, D, H, W\)"),
        ((1, 3, 16, 16, 16), "3 channels, expected 4"),
        ((1, 4, 16, 0, 16), "expected at least 1"),
    ],
)
def test_input_of_another_kind_is_refused(shape, message):
    with pytest.raises(ShapeError, match=message):
        espnet3d().eval()(torch.rand(shape))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_authors_file_is_recognised_and_loads(prefix):
    shapes = authors_shapes(num_classes=3, in_channels=2)
    state = {f"{prefix}{key}": torch.empty(s, device="meta") for key, s in shapes.items()}
    assert is_espnet3d(state)
    name, arguments, tensors = convert_espnet3d(state)
    assert name == "espnet3d"
    assert arguments == {"num_classes": 3, "in_channels": 2, "align_corners": True}
    with torch.device("meta"):
        network = build_network(name, arguments)
    assert {key: tuple(t.shape) for key, t in tensors.items()} == {
        key: tuple(t.shape) for key, t in network.state_dict().items()
    }


def test_a_file_that_lacks_tensors_is_refused(rule_weights):
    shapes = authors_shapes()
    del shapes["classifier.4.conv.weight"]
    with pytest.raises(DataError, match=r"lacks \['classifier\.4\.conv\.weight'\]"):
        convert_espnet3d(rule_weights(shapes))


@pytest.mark.real
def test_the_shapes_written_here_are_those_of_the_original(reference):
    assert reference.shapes("espnet3d_res_none") == authors_shapes()
