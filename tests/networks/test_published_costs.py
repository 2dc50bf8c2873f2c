"""Parameters and MACs of every classifier: the published tables, and a golden table of all."""

import os
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atrous.networks.catalog import NETWORKS

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "classifiers.txt"
CLASSIFIERS = [name for name, entry in NETWORKS.items() if entry.task == "classification"]

# Total parameters, buffers left out (FACTS B1 to B8).
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_998_552,
    "googlenet_torchvision": 6_624_904,
    "inception_v3": 23_834_568,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet50_v1": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "shufflenet_v1_g1": 1_531_936,
    "shufflenet_v1_g2": 1_733_848,
    "shufflenet_v1_g3": 1_865_728,
    "shufflenet_v1_g4": 1_968_344,
    "shufflenet_v1_g8": 2_434_768,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    # As timm's tf_efficientnet_liteN have them.
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
}
# The authors' totals for ESPNetv2, which hold what their code builds and never uses (SPEC 12).
ESPNETV2_PARAMETERS = {
    "espnetv2_0_5": 1_241_332,
    "espnetv2_1_0": 1_670_072,
    "espnetv2_1_25": 1_965_440,
    "espnetv2_1_5": 2_314_856,
    "espnetv2_2_0": 3_498_136,
}
# torchvision's convention, also FACTS': MACs of convolutions and linear layers, in 10^9.
GIGA_MACS = {
    "vgg11": 7.609,
    "vgg13": 11.308,
    "vgg16": 15.470,
    "vgg19": 19.632,
    "googlenet": 1.583,
    "googlenet_torchvision": 1.498,
    "inception_v3": 5.713,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet50_v1": 3.858,
    "resnet101": 7.801,
    "resnet152": 11.514,
}
MEGA_MACS_WITH_LINEAR = {
    "shufflenet_v1_g1": 143.079,
    "shufflenet_v1_g2": 140.837,
    "shufflenet_v1_g3": 137.461,
    "shufflenet_v1_g4": 134.340,
    "shufflenet_v1_g8": 138.366,
    "espnetv2_0_5": 29.400,
    "espnetv2_1_0": 86.744,
    "espnetv2_1_25": 124.423,
    "espnetv2_1_5": 169.629,
    "espnetv2_2_0": 286.086,
}
SHUFFLENET_V2_GIGA_MACS = {
    "shufflenet_v2_x0_5": 0.0405,
    "shufflenet_v2_x1_0": 0.1449,
    "shufflenet_v2_x1_5": 0.2958,
    "shufflenet_v2_x2_0": 0.5833,
}
# The convention of the ShuffleNet v1 and ESPNetv2 papers: convolutions only, in 10^6.
MEGA_CONVOLUTION_MACS = {
    "shufflenet_v1_g1": 142.503,
    "shufflenet_v1_g2": 140.037,
    "shufflenet_v1_g3": 136.501,
    "shufflenet_v1_g4": 133.252,
    "shufflenet_v1_g8": 136.830,
    "espnetv2_0_5": 28.376,
    "espnetv2_1_0": 85.720,
    "espnetv2_1_25": 123.399,
    "espnetv2_1_5": 168.605,
    "espnetv2_2_0": 284.806,
}


def build(name: str, **arguments: object) -> nn.Module:
    # On the meta device shapes are worked out and nothing is computed or held.
    with torch.device("meta"):
        return NETWORKS[name].build(**arguments).eval()


def count_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture(scope="module")
def macs() -> dict[str, tuple[int, int]]:
    """MACs of convolutions, and of convolutions and linear layers, at the catalog's size."""
    found = {}
    for name in CLASSIFIERS:
        model = build(name)
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, *NETWORKS[name].size, device="meta"))
        counts = {str(op): flops // 2 for op, flops in counter.get_flop_counts()["Global"].items()}
        found[name] = (counts["aten.convolution"], sum(counts.values()))
    return found


def test_every_classifier_of_the_catalog_has_a_published_number_to_equal():
    assert {*PARAMETERS, *ESPNETV2_PARAMETERS} == set(CLASSIFIERS)
    assert {*GIGA_MACS, *MEGA_MACS_WITH_LINEAR, *SHUFFLENET_V2_GIGA_MACS} >= {
        name
        for name in CLASSIFIERS
        # MACs of EfficientNet-Lite are timm's, in classifiers/test_efficientnet_lite.py.
        if not name.endswith("_bn") and not name.startswith("efficientnet_lite")
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_facts(name):
    assert count_parameters(build(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", ESPNETV2_PARAMETERS)
def test_espnetv2_has_the_authors_parameters_less_those_that_they_never_use(name):
    model = build(name)
    widths = model.encoder.out_channels
    # One slope per channel of the pyramid in each strided block, and the reinforcement of level 5.
    slopes = sum(after - before for before, after in pairwise(widths))
    reinforcement = 3 * 3 * 9 + 3 * 3 + 3 * widths[4] + 2 * widths[4]
    assert count_parameters(model) + slopes + reinforcement == ESPNETV2_PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "total"), [("googlenet_torchvision", 13_004_888), ("inception_v3", 27_161_264)]
)
def test_auxiliary_heads_have_torchvisions_parameters(name, total):
    assert count_parameters(build(name, has_auxiliary=True)) == total


def test_macs_are_those_of_the_facts(macs):
    for name, giga in GIGA_MACS.items():
        assert round(macs[name][1] / 1e9, 3) == giga, name
    for name, giga in SHUFFLENET_V2_GIGA_MACS.items():
        assert round(macs[name][1] / 1e9, 4) == giga, name
    for name, mega in MEGA_MACS_WITH_LINEAR.items():
        assert round(macs[name][1] / 1e6, 3) == mega, name
    for name, mega in MEGA_CONVOLUTION_MACS.items():
        assert round(macs[name][0] / 1e6, 3) == mega, name


def test_the_golden_table_is_what_the_catalog_gives(macs):
    header = f"{'network':<24}{'size':>10}{'parameters':>14}{'conv MACs':>17}{'all MACs':>17}"
    lines = [header]
    for name in CLASSIFIERS:
        size = "x".join(map(str, NETWORKS[name].size))
        convolutions, total = macs[name]
        parameters = count_parameters(build(name))
        lines.append(f"{name:<24}{size:>10}{parameters:>14,}{convolutions:>17,}{total:>17,}")
    table = "\n".join(lines) + "\n"
    if os.environ.get("ATROUS_UPDATE_GOLDEN"):
        GOLDEN.write_text(table)
    golden = GOLDEN.read_text()
    difference = "\n".join(unified_diff(golden.splitlines(), table.splitlines(), lineterm=""))
    assert table == golden, f"set ATROUS_UPDATE_GOLDEN=1 if this is meant:\n{difference}"
