"""Tiles with the halo of the receptive field against the whole image: are they the same?

python -m benchmarks.tiles SLIDE --mpp 0.5 --at-mpp 1.0 [--networks espnet vgg16] [--crop 900x1100]

For every network: its halo, and for three sizes of core the pixels whose label differs from that of
one run over the whole image, with the largest difference of a logit. Then the same with a halo one
stride smaller. What the rim adds there may be less than a float holds, so that rows of the image
are made not-a-number, too: their trace tells what depends on them.
The weights are random, as is right for a statement about geometry.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from atrous.analysis.halo import halo
from atrous.data.slides.read import open_slide
from atrous.inference import FullSize, plan_grid, run_tiled
from atrous.networks.catalog import build_network

CORES: Final = (416, 512, 800)
NETWORKS: Final[Mapping[str, tuple[str, dict[str, str | int]]]] = MappingProxyType(
    {
        "espnet": ("espnet", {"num_classes": 8, "p": 2, "q": 8}),
        "espnetv2": ("skip_encoder_decoder", {"encoder": "espnetv2_1_0", "num_classes": 8}),
        "resnet18": ("skip_encoder_decoder", {"encoder": "resnet18", "num_classes": 8}),
        "vgg16": ("skip_encoder_decoder", {"encoder": "vgg16", "num_classes": 8}),
    }
)


def main() -> None:
    """Read the command line, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--at-mpp", type=float, default=1.0)
    parser.add_argument("--networks", nargs="+", choices=sorted(NETWORKS), default=sorted(NETWORKS))
    parser.add_argument("--crop", help="Height and width of a window in the middle, as 900x1100.")
    arguments = parser.parse_args()
    with open_slide(arguments.slide, mpp=arguments.mpp) as slide:
        whole = slide.size_at(arguments.at_mpp)
        size = whole
        if arguments.crop:
            height, width = arguments.crop.split("x")
            size = (int(height), int(width))
        start = tuple((all_ - part) // 2 for all_, part in zip(whole, size, strict=True))
        rgb = slide.read((start[0], start[1]), size, mpp=arguments.at_mpp)
    image = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255 - 0.7) / 0.2
    image = image.contiguous(memory_format=torch.channels_last)
    print(f"{arguments.slide.name}: {size[0]} x {size[1]} pixels (H x W)")
    for name in arguments.networks:
        for line in compare(name, image):
            print(line, flush=True)


@torch.inference_mode()
def compare(name: str, image: Tensor) -> list[str]:
    """Lines on one network."""
    kind, arguments = NETWORKS[name]
    torch.manual_seed(0)
    network = FullSize(build_network(kind, arguments), resize="nearest")
    network = network.eval().to(memory_format=torch.channels_last)
    need = halo(network, (512, 512))
    if not need.is_finite:
        return [f"{name}: no halo is wide enough for {need.blockers[0].op}"]
    start = perf_counter()
    whole = network(image)
    seconds = perf_counter() - start
    pixels, step = max(filter(None, need.pixels)), max(filter(None, need.alignment))
    lines = [f"{kind} ({name}): halo {pixels} px, one whole run {seconds:.1f} s"]
    for core in CORES:
        found = _difference(network, image, whole, core, pixels, step)
        lines.append(f"  cores of {core} px: {found}")
    found = _difference(network, image, whole, CORES[-1], pixels - step, step)
    lines.append(f"  halo of {pixels - step} px: {found}")
    lines.append(f"  {_trace(network, pixels, step)}")
    return lines


def _difference(
    network: nn.Module, image: Tensor, whole: Tensor, core: int, pixels: int, step: int
) -> str:
    grid = plan_grid(
        image.shape[2:], core=(core, core), halo=(pixels, pixels), alignment=(step, step)
    )
    tiled = run_tiled(network, image, grid)
    wrong = int((tiled.argmax(1) != whole.argmax(1)).sum())
    return (
        f"{len(grid)} tiles, {wrong} of {whole[0, 0].numel():,} labels differ, logits by at most "
        f"{float((tiled - whole).abs().max()):.1e}"
    )


def _trace(network: nn.Module, pixels: int, step: int) -> str:
    """Whether rows in the middle depend on the rim of their halo, and on what lies behind it."""
    near = pixels + step
    image = torch.randn(1, 3, 2 * near + step, 256)
    rims = {"rim": (step, 2 * near - step), "behind": (0, 2 * near)}
    found = {}
    for name, rows in rims.items():
        seen = False
        for row in rows:
            marked = image.clone()
            marked[:, :, row : row + step] = torch.nan
            seen = seen or bool(network(marked)[:, :, near : near + step].isnan().any())
        found[name] = seen
    return (
        f"a core depends on the outer {step} rows of its halo: {found['rim']}; on those behind it: "
        f"{found['behind']}"
    )


if __name__ == "__main__":
    main()
