"""The table of docs/blocks.md is what the blocks give."""

import re
from pathlib import Path

import pytest

from atrous.blocks import (
    BottleneckBlock,
    ConvNormAct,
    DepthwiseSeparableBlock,
    EESPBlock,
    ESPBlock,
    InceptionA,
    InceptionBlock,
    InceptionC,
    InceptionE,
    InvertedResidualBlock,
    ResidualBlock,
    ShuffleV1Block,
    ShuffleV2Block,
    VGGBlock,
)
from atrous.networks.classifiers.googlenet import MODULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "blocks.md"
ROW = re.compile(r"\| `(\w+)`[^|]*\| (\d+) \| ([\d,]+) \| ([\d.]+) \| (\d+)x\5 \|")
BUILD = {
    "ConvNormAct": lambda c: ConvNormAct(c, c, 3),
    "VGGBlock": lambda c: VGGBlock(c, c, num_convs=2),
    "InceptionBlock": lambda c: InceptionBlock(c, MODULES["4b"]),
    "InceptionA": lambda c: InceptionA(c, pool_channels=64),
    "InceptionC": lambda c: InceptionC(c, width=128),
    "InceptionE": lambda c: InceptionE(c),
    "ResidualBlock": lambda c: ResidualBlock(c, c),
    "BottleneckBlock": lambda c: BottleneckBlock(c, c),
    "ShuffleV1Block": lambda c: ShuffleV1Block(c, groups=3),
    "ShuffleV2Block": lambda c: ShuffleV2Block(c),
    "ESPBlock": lambda c: ESPBlock(c, c),
    "EESPBlock": lambda c: EESPBlock(c, c),
    "DepthwiseSeparableBlock": lambda c: DepthwiseSeparableBlock(c, c),
    "InvertedResidualBlock": lambda c: InvertedResidualBlock(c, c),
}
ROWS = {match[1]: match.groups()[1:] for match in ROW.finditer(PAGE.read_text())}


def test_every_row_can_be_checked():
    assert set(ROWS) == set(BUILD)


@pytest.mark.parametrize("name", BUILD)
def test_weights_and_share_are_as_printed(name):
    channels, weights, share, _ = ROWS[name]
    channels = int(channels)
    found = sum(p.numel() for p in BUILD[name](channels).parameters() if p.dim() > 1)
    assert f"{found:,}" == weights
    assert f"{found / (9 * channels**2):.3f}" == share
