"""Every block of ours is explained by its name, with the numbers that torch counts."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atrous import blocks
from atrous.analysis import receptive_field as measured_field
from atrous.analysis.explain_blocks import explain_blocks
from atrous.arithmetic import parse_expression, receptive_field
from atrous.arithmetic.expression import LAYER_NAMES
from atrous.arithmetic.syntax import parse_calls
from atrous.errors import ExpressionError, ShapeError
from atrous.reports.explanation.blocks import BLOCKS

EXPRESSIONS = {
    "AtrousPyramidPooling": "(16, 16)",
    "BilinearUp": "(8)",
    "BottleneckBlock": "(16, 64)",
    "ContextModule": "(8)",
    "ConvBiasAct": "(3, 8, 3, norm=None)",
    "ConvNormAct": "(3, 8, 3, stride=2)",
    "DecoderLevel": "(16, 8)",
    "DepthwisePyramid": "(16, 16)",
    "DepthwiseSeparableBlock": "(8, 16)",
    "DilatedPyramid": "(20, 20)",
    "EESPBlock": "(64, 64)",
    "ESPBlock": "(96, 96)",
    "EfficientPyramidPooling": "(16, 8, width=16)",
    "GatedConv": "(8, 8)",
    "PyramidPoolingModule": "(16, 4)",
    "HalvingPyramid": "(16)",
    "InceptionA": "(16, pool_channels=8)",
    "InceptionB": "(16)",
    "InceptionBlock": "(16, (8, 8, 8, 8, 8, 8))",
    "InceptionC": "(16, width=8)",
    "InceptionD": "(16)",
    "InceptionE": "(16)",
    "InvertedResidualBlock": "(8, 8)",
    "KernelPyramid": "(4)",
    "LineConvNormAct": "(8, 8, (1, 7))",
    "NormAct": "(8)",
    "NormedESPBlock": "(16, 16, spatial_dims=2)",
    "PyramidPooling": "(16, 4, fractions='1, 1/2')",
    "ResidualBlock": "(8, 8)",
    "LocalResponseNorm": "(5)",
    "SeparableConvNormAct": "(8, 8)",
    "ShuffleV1Block": "(24, groups=3)",
    "ShuffleV2Block": "(16)",
    "SkipLevel": "(16, 8, 8)",
    "StridedEESPBlock": "(64, 128)",
    "StridedESPBlock": "(20, 40)",
    "StridedShuffleV1Block": "(24, 48, groups=3, first_groups=3)",
    "StridedShuffleV2Block": "(16, 32)",
    "VGGBlock": "(3, 8)",
    "ValidConvNormAct": "(3, 8, 3)",
    "WideESPBlock": "(16, spatial_dims=2)",
}


def explain(text, size=None):
    return explain_blocks(parse_calls(text, LAYER_NAMES, BLOCKS), size)


def test_every_block_has_its_name_in_the_list():
    modules = [
        name
        for name in blocks.__all__
        if isinstance(kind := getattr(blocks, name), type) and issubclass(kind, nn.Module)
    ]
    assert sorted(BLOCKS) == sorted(modules) == sorted(EXPRESSIONS)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_explained_by_its_name(name):
    found = explain(name + EXPRESSIONS[name])
    assert found.cost.counted == "all"
    assert found.layers or not found.cost.params
    assert sum(layer.weights + layer.biases for layer in found.layers) == found.cost.params
    assert sum(layer.macs for layer in found.layers) == found.cost.macs


def test_the_espnet_block_is_that_of_the_paper():
    """Reduce 96 to 19 channels, five 3x3 kernels of 20 and 19 channels, dilations 1 to 16."""
    found = explain("ESPBlock(96, 96)", (64, 64))
    weights = [1824, 19 * 20 * 9, *[19 * 19 * 9] * 4]
    convolutions = [layer for layer in found.layers if layer.weights_working]
    assert [layer.weights for layer in convolutions] == weights
    assert [layer.macs for layer in convolutions] == [n * 64 * 64 for n in weights]
    assert convolutions[0].weights_working == "96 x 19 x 1x1 / 1"
    assert [layer.kernel for layer in convolutions] == [
        (1, 1), (3, 3), (5, 5), (9, 9), (17, 17), (33, 33)
    ]  # fmt: skip
    assert found.seen.field.size == (33, 33)


def test_a_chain_of_layers_and_blocks_costs_what_torch_counts():
    text = "Conv2d(3, 16, 3, stride=2) > ResidualBlock(16, 32, stride=2) > ReLU()"
    found = explain(text, (64, 48))
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), blocks.ResidualBlock(16, 32, stride=2), nn.ReLU()
    ).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 64, 48))
    assert found.cost.macs == counter.get_total_flops() // 2
    assert found.cost.params == sum(p.numel() for p in model.parameters())
    assert [layer.name for layer in found.layers][:2] == ["0", "1.conv1.conv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ESPBlock(96)", "missing a required argument"),
        ("ESPBlock(96, 96, width=3)", "ESPBlock takes: in_channels"),
        ("ESPBlock(3, 96)", "residual"),
        ("PyramidPooling(16, 4, fractions='x')", "fractions"),
        ("ESPBlock(96, 96) > Conv2d(8, 8, 3)", "96 channels"),
    ],
)
def test_what_cannot_be_built_is_one_line(text, message):
    with pytest.raises((ExpressionError, ShapeError), match=message) as caught:
        explain(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ConvTranspose2d(1, 1, 1, stride=2, padding=1, output_padding=1)",
        "ConvTranspose2d(1, 1, 2, stride=3, padding=1)",
        "ConvTranspose2d(1, 1, 2, stride=4, padding=2, output_padding=3)",
        "ConvTranspose2d(1, 1, 2, stride=3, dilation=3)",
        "ConvTranspose2d(1, 1, 3, stride=2, padding=1)",
        "Conv2d(1, 1, 3) > ConvTranspose2d(1, 1, 1, stride=3, padding=1) > Conv2d(1, 1, 2)",
        "ConvTranspose2d(1, 1, 2, stride=3, padding=2) > MaxPool2d(2)",
    ],
)
def test_paper_and_the_analysis_of_a_model_agree_on_the_start_of_transposed_ones(text):
    paper = receptive_field(parse_expression(text))
    model = eval(f"nn.Sequential({text.replace(' > ', ', ')})", vars(nn) | {"nn": nn})  # noqa: S307
    found = measured_field(model, (32, 32)).field
    assert found.size == paper.size
    assert found.jump == pytest.approx(tuple(map(float, paper.jump)), abs=1e-9)
    assert found.start == pytest.approx(tuple(map(float, paper.start)), abs=1e-9)


def test_a_transposed_convolution_with_gaps_begins_where_its_first_output_that_reads_leads():
    """Kernel 1, stride 2, padding 1: output 1 reads input 1 and output 0 none, so 1 - 1/2."""
    (layer,) = parse_expression("ConvTranspose2d(1, 1, 1, stride=2, padding=1)")
    assert [float(n) for n in receptive_field([layer]).start] == [0.5, 0.5]
