"""Milliseconds to augment one image and mask, ours beside torchvision's, one after the other.

    python -m benchmarks.augmentation [--draws 200] [--json FILE]

The image is 360x480 (three channels of noise, smoothed), the view 256x352; scale 0.5 to 2 and flip,
then with colour jitter, and so on. Baselines are `torchvision.transforms.v2.Compose` of transforms
that do the same, on tv_tensors, as users have it. Every call is another draw; one thread; medians
of CPU time, with quartiles.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torchvision import tv_tensors
from torchvision.transforms import v2

from atrous.data.augment.photos import Augmentation, augment, sample_rng
from benchmarks.timing import machine

IMAGE = (360, 480)
VIEW = (256, 352)
FILL = {tv_tensors.Image: (124, 116, 104), tv_tensors.Mask: 255}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The same work said in both ways."""

    name: str
    ours: Augmentation
    theirs: list[object]


def cases() -> list[Case]:
    # ScaleJitter fits the image into target_size times the scale, so this is 0.5 to 2 of its own.
    place = [
        v2.ScaleJitter(IMAGE, scale_range=(0.5, 2.0), antialias=True),
        v2.RandomCrop(VIEW, pad_if_needed=True, fill=FILL),
        v2.RandomHorizontalFlip(0.5),
    ]
    street = Augmentation(size=VIEW, scale=(0.5, 2.0))
    jittered = Augmentation(
        size=VIEW, scale=(0.5, 2.0), brightness=0.4, contrast=0.4, saturation=0.4
    )
    hued = Augmentation(
        size=VIEW, scale=(0.5, 2.0), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    )
    blurred = Augmentation(size=VIEW, scale=(0.5, 2.0), blur=1.0)
    turned = Augmentation(size=VIEW, scale=(0.5, 2.0), rotation=10.0)
    small = Augmentation(size=(160, 160), fit="area", scale=(0.2, 1.0), aspect=4 / 3)
    return [
        Case(name="scale, crop, flip", ours=street, theirs=place),
        Case(
            name="and brightness, contrast, saturation",
            ours=jittered,
            theirs=[*place, v2.ColorJitter(0.4, 0.4, 0.4)],
        ),
        Case(name="and hue", ours=hued, theirs=[*place, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)]),
        Case(name="scale, crop, flip, blur", ours=blurred, theirs=[*place, v2.GaussianBlur(13)]),
        Case(
            name="scale, crop, flip, rotation",
            ours=turned,
            theirs=[
                v2.ScaleJitter(IMAGE, scale_range=(0.5, 2.0), antialias=True),
                v2.RandomRotation(10, v2.InterpolationMode.BILINEAR, fill=FILL),
                *place[1:],
            ],
        ),
        Case(
            name="resized crop to 160x160, flip",
            ours=small,
            theirs=[
                v2.RandomResizedCrop((160, 160), scale=(0.2, 1.0), antialias=True),
                v2.RandomHorizontalFlip(0.5),
            ],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Augmentation beside torchvision's.")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    noise = F.interpolate(torch.rand(1, 3, 45, 60), size=IMAGE, mode="bicubic")[0]
    image = (noise * 255).clamp(0, 255).to(torch.uint8)
    mask = torch.randint(0, 12, IMAGE)
    print(
        f"{machine()}, torch {torch.__version__}, torchvision {torchvision.__version__}; 1 thread"
    )
    print(f"{'ms an image':<40}{'ours':>8}{'quartiles':>15}{'torchvision':>13}{'ratio':>8}")
    rows = []
    for case in cases():
        compose = v2.Compose(case.theirs)
        times = [
            (ours(case.ours, image, mask, index), theirs(compose, image, mask))
            for index in range(arguments.draws + 3)
        ][3:]
        mine = statistics.quantiles((mine for mine, _ in times), n=4)
        other = statistics.quantiles((other for _, other in times), n=4)
        print(
            f"{case.name:<40}{mine[1]:>8.2f}{f'{mine[0]:.2f} to {mine[2]:.2f}':>15}"
            f"{other[1]:>13.2f}{other[1] / mine[1]:>7.1f}x",
            flush=True,
        )
        rows.append({"name": case.name, "ours": mine, "torchvision": other})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


def ours(augmentation: Augmentation, image: Tensor, mask: Tensor, index: int) -> float:
    start = time.process_time()
    augment(image, mask, augmentation, sample_rng(0, epoch=0, index=index))
    return 1e3 * (time.process_time() - start)


def theirs(compose: v2.Compose, image: Tensor, mask: Tensor) -> float:
    start = time.process_time()
    compose(tv_tensors.Image(image), tv_tensors.Mask(mask))
    return 1e3 * (time.process_time() - start)


if __name__ == "__main__":
    main()
