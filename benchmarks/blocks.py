"""Weights, MACs and CPU time of every block beside a standard 3x3 convolution of equal width.

    python -m benchmarks.blocks [--size 56] [--json out.json]

Every block maps C channels to C channels at one size; C is 96, or what the network that a block
belongs to gives it. Each is timed in turn with the standard convolution (with batch normalisation
and ReLU, as the blocks have them), in eval mode, channels_last, batch 1, one thread; medians of CPU
time. A share below 1 means cheaper, or faster, than the standard convolution.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

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
    InceptionWidths,
    ResidualBlock,
    ShuffleV1Block,
    ShuffleV2Block,
    VGGBlock,
    batch_norm,
)
from benchmarks.timing import machine

BLOCKS: Final[Mapping[str, tuple[int, Callable[[int], nn.Module]]]] = MappingProxyType(
    {
        "VGGBlock": (96, lambda c: VGGBlock(c, c, num_convs=2, norm=batch_norm)),
        "InceptionBlock": (
            512,
            lambda c: InceptionBlock(
                c, InceptionWidths(160, 112, 224, 24, 64, 64), norm=batch_norm
            ),
        ),
        "InceptionA": (288, lambda c: InceptionA(c, pool_channels=64)),
        "InceptionC": (768, lambda c: InceptionC(c, width=128)),
        "InceptionE": (2048, lambda c: InceptionE(c)),
        "ResidualBlock": (96, lambda c: ResidualBlock(c, c)),
        "BottleneckBlock": (96, lambda c: BottleneckBlock(c, c)),
        "ShuffleV1Block": (96, lambda c: ShuffleV1Block(c, groups=3)),
        "ShuffleV2Block": (96, lambda c: ShuffleV2Block(c)),
        "ESPBlock": (96, lambda c: ESPBlock(c, c)),
        "EESPBlock": (96, lambda c: EESPBlock(c, c)),
        "DepthwiseSeparableBlock": (96, lambda c: DepthwiseSeparableBlock(c, c)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One block beside the standard convolution."""

    block: str
    channels: int
    size: int
    weights: int
    weight_share: float
    macs: int
    ms: float
    time_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Every block beside a standard 3x3 convolution.")
    parser.add_argument("--size", type=int, default=56, help="of the map, for C = 96")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}, torch {torch.__version__}; 1 thread, {arguments.repeats} runs")
    print(
        f"{'block':<26}{'C':>6}{'size':>6}{'weights':>12}{'of 3x3':>8}"
        f"{'MMACs':>9}{'ms':>9}{'of 3x3':>8}"
    )
    rows = []
    for name, (channels, _) in BLOCKS.items():
        # The wide modules stand where maps are small.
        size = arguments.size if channels == 96 else max(7, 56 * 96 // channels)
        row = measure(name, size, repeats=arguments.repeats)
        rows.append(row)
        print(
            f"{row.block:<26}{row.channels:>6}{row.size:>6}{row.weights:>12,}{row.weight_share:>8.3f}"
            f"{row.macs / 1e6:>9.1f}{row.ms:>9.2f}{row.time_share:>8.2f}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


@torch.inference_mode()
def measure(name: str, size: int, *, repeats: int) -> Row:
    channels, build = BLOCKS[name]
    layout = torch.channels_last
    block = build(channels).eval().to(memory_format=layout)
    standard = ConvNormAct(channels, channels, 3).eval().to(memory_format=layout)
    x = torch.randn(1, channels, size, size).to(memory_format=layout)
    with FlopCounterMode(display=False) as counter:
        block(x)
    standard(x)
    pairs = [(seconds(block, x), seconds(standard, x)) for _ in range(repeats + 2)][2:]
    weights = sum(p.numel() for p in block.parameters() if p.dim() > 1)
    return Row(
        block=name,
        channels=channels,
        size=size,
        weights=weights,
        weight_share=weights / (9 * channels**2),
        macs=counter.get_total_flops() // 2,
        ms=1e3 * statistics.median(mine for mine, _ in pairs),
        time_share=statistics.median(mine / other for mine, other in pairs),
    )


def seconds(model: nn.Module, x: Tensor) -> float:
    start = time.process_time()
    model(x)
    return time.process_time() - start


if __name__ == "__main__":
    main()
