"""The three steps from a classifier to a segmenter, trained on drawn shapes: tables and pictures.

    python -m benchmarks.segmentation_story [--steps 300] [--out docs/images]

Two trainings of each step over one encoder, on the CPU, with one seed. *By heart*: eight pictures
of 32 x 32 pixels, each of them one position of the coarsest map, in 80 full-batch steps. *Unseen*:
batches of eight new pictures of 64 x 96 pixels in every step, scored on 64 others. One figure each
is written, with the truth's outlines over what was predicted.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes
from atrous.inference.overlay import outline
from atrous.metrics import Confusion, boundary_counts, boundary_iou, score
from atrous.networks.segmenters import create_segmenter
from atrous.types import Size

ENCODER = "shufflenet_v2_x0_5"
STEPS = {
    "vanilla": "1 vanilla",
    "encoder_decoder": "2 a decoder",
    "skip_encoder_decoder": "3 skip connections",
}
PALETTE = np.array([(225, 225, 225), (213, 94, 0), (0, 158, 115), (240, 228, 66)], np.uint8)
"""One colour per class, told apart by colour-blind eyes too."""

FIRST_UNSEEN = 1_000_000
"""Pictures from here on are for scoring; training never comes so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one step reached."""

    loss: float
    """Cross-entropy of the last training step."""
    mean_iou: float
    boundary_iou: float
    masks: Tensor
    """Predicted classes of the scored pictures, `(N, H, W)`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="training steps on unseen pictures")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of figures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the same numbers on any machine with this processor

    images, masks = shapes(range(8), size=(32, 32))
    # Scored as it was learnt: the statistics that a network keeps lag behind so short a training.
    results = train_each(
        lambda _: (images, masks), num_steps=80, scored=(images, masks), is_by_batch=True
    )
    print_table("By heart: 8 pictures of 32 x 32, 80 steps", results)
    print(f"one answer for each picture, at best: {entropy_of_shares(masks):.3f}")
    draw(arguments.out / "segmentation-by-heart.png", images, masks, results, rows=(0, 1, 4))

    unseen = shapes(range(FIRST_UNSEEN, FIRST_UNSEEN + 64), size=(64, 96))
    results = train_each(
        lambda step: shapes(range(8 * step, 8 * step + 8), size=(64, 96)),
        num_steps=arguments.steps,
        scored=unseen,
    )
    print_table(f"Unseen: 64 pictures of 64 x 96 after {arguments.steps} steps", results)
    draw(arguments.out / "segmentation-unseen.png", *unseen, results, rows=(0, 1, 2))
    print(
        f"{ENCODER}, AdamW, seed 0, {platform.system()} {platform.machine()}, "
        f"torch {torch.__version__.partition('+')[0]}"
    )


def shapes(indices: range, *, size: Size) -> tuple[Tensor, Tensor]:
    """Images `(N, 3, H, W)` of about -1 to 1, and masks `(N, H, W)`."""
    pairs = [draw_shapes(index, size=size) for index in indices]
    images = torch.stack([torch.from_numpy(rgb).permute(2, 0, 1) for rgb, _ in pairs])
    masks = torch.stack([torch.from_numpy(mask) for _, mask in pairs])
    return images.float() / 128 - 1, masks.long()


def train_each(
    batch: Callable[[int], tuple[Tensor, Tensor]],
    *,
    num_steps: int,
    scored: tuple[Tensor, Tensor],
    is_by_batch: bool = False,
) -> dict[str, Result]:
    """Train every step alike and score it; normalised by batch, or by what was kept in training."""
    results = {}
    for name in STEPS:
        torch.manual_seed(0)
        model = create_segmenter(name, encoder=ENCODER, num_classes=len(SHAPE_CLASSES))
        assert isinstance(model, nn.Module)
        loss = train(model, batch, num_steps=num_steps)
        results[name] = evaluate(model.train(is_by_batch), *scored, loss=loss)
    return results


def train(
    model: nn.Module, batch: Callable[[int], tuple[Tensor, Tensor]], *, num_steps: int
) -> float:
    """The last loss of so many steps."""
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=5e-3)
    loss = torch.zeros(())
    for step in range(num_steps):
        images, masks = batch(step)
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images), masks)
        torch.autograd.backward(loss)
        optimiser.step()
    return loss.item()


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, truth: Tensor, *, loss: float) -> Result:
    """Scores over all pictures, every pixel counted."""
    masks = torch.cat([model(part).argmax(1) for part in images.split(8)])
    num_classes = len(SHAPE_CLASSES)
    confusion = Confusion(num_classes=num_classes)
    confusion.add(truth, masks)
    counts = sum(
        boundary_counts(true, found, num_classes=num_classes)
        for true, found in zip(truth, masks, strict=True)
    )
    assert isinstance(counts, Tensor)
    return Result(
        loss=loss,
        mean_iou=score(confusion.matrix, protocol="void_ignored").mean_iou,
        boundary_iou=boundary_iou(counts).nanmean().item(),
        masks=masks,
    )


def entropy_of_shares(masks: Tensor) -> float:
    """The least cross-entropy of one answer for the whole of each picture."""
    classes = range(len(SHAPE_CLASSES))
    shares = torch.stack([(masks == index).float().mean((1, 2)) for index in classes], 1)
    return float(-torch.xlogy(shares, shares).sum(1).mean())


def print_table(title: str, results: dict[str, Result]) -> None:
    print(f"\n{title}\n{'step':<20}  {'last loss':>9}  {'mean IoU':>8}  {'boundary IoU':>12}")
    for name, result in results.items():
        print(
            f"{STEPS[name]:<20}  {result.loss:>9.3f}  {result.mean_iou:>8.1%}  "
            f"{result.boundary_iou:>12.1%}"
        )


def draw(
    path: Path,
    images: Tensor,
    truth: Tensor,
    results: dict[str, Result],
    *,
    rows: tuple[int, ...],
) -> None:
    """A row per picture: the picture, then what each step answers, with the truth's outlines."""
    scale = 192 // images.shape[3]
    columns = {"picture, true outlines": None, **{STEPS[name]: results[name] for name in results}}
    width, height = scale * images.shape[3], scale * images.shape[2]
    gap, head = 8, 40
    sheet = Image.new(
        "RGB", (len(columns) * (width + gap) + gap, head + len(rows) * (height + gap)), "white"
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, (title, result) in enumerate(columns.items()):
        left = gap + column * (width + gap)
        scores = "" if result is None else f"IoU {result.mean_iou:.0%}, at boundaries "
        scores += "" if result is None else f"{result.boundary_iou:.0%}"
        pen.text((left, 3), f"{title}\n{scores}", fill="black", font=font, spacing=2)
        for row, index in enumerate(rows):
            if result is None:
                shown = ((images[index] + 1) * 128).byte().permute(1, 2, 0).numpy()
            else:
                shown = PALETTE[result.masks[index].numpy()]
            panel = with_outlines(shown, truth[index].numpy(), scale=scale)
            sheet.paste(Image.fromarray(panel), (left, head + row * (height + gap)))
    # A palette keeps the file small: only the pictures themselves have more colours.
    sheet.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def with_outlines(
    shown: NDArray[np.uint8], mask: NDArray[np.int64], *, scale: int
) -> NDArray[np.uint8]:
    """A picture `(H, W, 3)` enlarged, with thin black lines where classes of the mask meet."""
    large = shown.repeat(scale, 0).repeat(scale, 1)
    large[outline(mask.repeat(scale, 0).repeat(scale, 1))] = 0
    return large


if __name__ == "__main__":
    main()
