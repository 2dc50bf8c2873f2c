"""ESPNetv2 for segmentation, both forms: cost, any size, and the outputs of the originals."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.networks.classifiers.espnetv2 import WIDTHS
from atrous.networks.convert.espnetv2_seg import (
    convert_espnetv2_seg,
    convert_espnetv2_seg_2018,
    is_espnetv2_seg,
    is_espnetv2_seg_2018,
)
from atrous.networks.segmenters.espnetv2 import espnetv2_seg
from atrous.networks.segmenters.espnetv2_2018 import espnetv2_seg_2018

FACTORIES = pytest.mark.parametrize("factory", [espnetv2_seg, espnetv2_seg_2018])

# SPEC 12: parameters of Pascal VOC's 21 classes and of the first form's 20, and MACs in 10^6.
PARAMETERS = {
    "0_5": (80_353, 99_418),
    "1_0": (234_021, 340_782),
    "1_25": (343_117, None),
    "1_5": (468_373, 725_166),
    "2_0": (789_253, 1_253_038),
}
MEGA_MACS = {
    (21, (256, 256)): (74.70, 135.84, 176.30, 214.34, 337.41),
    (21, (384, 384)): (168.07, 305.62, 396.66, 482.24, 759.13),
    (20, (256, 512)): (149.07, 271.33, 352.26, 428.33, 674.46),
    (20, (512, 1024)): (596.25, 1085.28, 1408.97, 1713.26, 2697.74),
}
# What the authors print as FLOPs, in 10^6 and their number of decimals (SPEC 12, FACTS B8).
PUBLISHED = [
    ("0_5", 21, (384, 384), "168.46"),
    ("2_0", 21, (384, 384), "759.5"),
    ("0_5", 20, (512, 1024), "597.6"),
    ("1_0", 20, (512, 1024), "1086.6"),
    ("1_5", 20, (512, 1024), "1714.6"),
    ("2_0", 20, (512, 1024), "2699.1"),
]
MEGA_MACS_OF_2018 = {"0_5": 564, "1_0": 1689, "1_5": 3361, "2_0": 5671}


def num_params(network):
    return sum(p.numel() for p in network.parameters())


def macs(factory, size, **arguments):
    with torch.device("meta"):
        network, x = factory(**arguments).eval(), torch.empty(1, 3, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("width", PARAMETERS)
def test_parameters_are_the_authors_less_those_that_they_never_use(width):
    later, first = PARAMETERS[width]
    # One slope per channel that a strided block adds: the authors build and skip that activation.
    unused = WIDTHS[width][3] - WIDTHS[width][0]
    with torch.device("meta"):
        assert num_params(espnetv2_seg(width=width)) + unused == later
        assert num_params(espnetv2_seg(width=width, num_classes=20)) + unused == later - 11
        if first is not None:
            assert num_params(espnetv2_seg_2018(width=width)) + unused == first


@pytest.mark.parametrize(("num_classes", "size"), MEGA_MACS)
def test_macs_are_the_measured_ones_of_the_originals(num_classes, size):
    found = [macs(espnetv2_seg, size, width=w, num_classes=num_classes) for w in WIDTHS]
    assert [round(count / 1e6, 2) for count in found] == [*MEGA_MACS[num_classes, size]]


@pytest.mark.parametrize(("width", "num_classes", "size", "published"), PUBLISHED)
def test_the_authors_flops_count_half_a_mac_for_each_bias_of_the_logits(
    width, num_classes, size, published
):
    found = macs(espnetv2_seg, size, width=width, num_classes=num_classes)
    positions = size[0] * size[1] // 4  # the logits are computed at half the size
    decimals = len(published.partition(".")[2])
    assert f"{(found + num_classes * positions / 2) / 1e6:.{decimals}f}" == published


@pytest.mark.parametrize("width", MEGA_MACS_OF_2018)
def test_macs_of_the_first_form_are_the_measured_ones(width):
    found = macs(espnetv2_seg_2018, (512, 1024), width=width)
    assert round(found / 1e6) == MEGA_MACS_OF_2018[width]


@FACTORIES
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (33, 34), (97, 131)])
def test_any_size_gives_logits_of_that_size(factory, size):
    network = factory(num_classes=4, width="0_5").eval()
    assert network(torch.rand(3, 3, *size)).shape == (3, 4, *size)


@FACTORIES
def test_a_size_that_does_not_divide_is_padded_with_zeros_and_cropped(factory):
    network = factory(num_classes=4, width="0_5").eval()
    x = torch.randn(1, 3, 21, 40)
    padded = torch.zeros(1, 3, 32, 48)
    padded[..., :21, :40] = x
    assert torch.equal(network(x), network(padded)[..., :21, :40])


@FACTORIES
@pytest.mark.parametrize("num_classes", [1, 2])
@pytest.mark.parametrize("in_channels", [1, 4])
def test_classes_and_channels_are_free(factory, num_classes, in_channels):
    network = factory(num_classes=num_classes, in_channels=in_channels, width="0_5").eval()
    assert network(torch.rand(1, in_channels, 16, 32)).shape == (1, num_classes, 16, 32)


@FACTORIES
def test_a_volume_gives_logits_of_its_size(factory):
    network = factory(num_classes=3, in_channels=2, width="0_5", spatial_dims=3).eval()
    assert network(torch.rand(1, 2, 9, 10, 17)).shape == (1, 3, 9, 10, 17)


@FACTORIES
def test_every_parameter_learns(factory):
    network = factory(num_classes=4, width="0_5")
    network(torch.rand(2, 3, 32, 48)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_auxiliary_logits_of_the_first_form_have_the_size_of_the_others():
    network = espnetv2_seg_2018(num_classes=4, width="0_5").eval()
    x = torch.rand(1, 3, 21, 40)
    logits, [auxiliary] = network.forward_with_auxiliary(x)
    assert torch.equal(logits, network(x))
    assert auxiliary.shape == logits.shape
    assert not torch.equal(auxiliary, logits)


@FACTORIES
def test_a_width_that_does_not_exist_is_refused(factory):
    with pytest.raises(UnknownNameError, match="Known: 0_5, 1_0, 1_25, 1_5, 2_0"):
        factory(width="3_0")


@FACTORIES
def test_no_classes_are_refused(factory):
    with pytest.raises(ShapeError, match="at least one class"):
        factory(num_classes=0)


@FACTORIES
def test_other_channels_than_built_for_are_refused(factory):
    with pytest.raises(ShapeError, match="Got an input of 4 channels, expected 3"):
        factory(width="0_5").eval()(torch.rand(1, 4, 16, 16))


@pytest.mark.parametrize(
    ("convert", "matches", "keys"),
    [
        pytest.param(
            convert_espnetv2_seg,
            is_espnetv2_seg,
            ("base_net.level2_0.eesp.proj_1x1.conv.weight", "bu_dec_l1.stages.0.weight"),
            id="last form",
        ),
        pytest.param(
            convert_espnetv2_seg_2018,
            is_espnetv2_seg_2018,
            (
                "module.net.level2_0.eesp.proj_1x1.conv.weight",
                "module.pspMod.1.stages.0.conv.weight",
            ),
            id="first form",
        ),
    ],
)
def test_a_file_that_lacks_tensors_is_refused(convert, matches, keys):
    state = {key: torch.zeros(1) for key in keys}
    assert matches(state)
    with pytest.raises(DataError, match="lacks"):
        convert(state)
