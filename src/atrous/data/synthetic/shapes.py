"""Pictures of shapes with known masks, for tests and examples: no download, one seed."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous.types import Size

SHAPE_CLASSES: Final = ("background", "disc", "square", "stripe")
"""Class names by index."""

_COLOURS: Final = np.array(
    [(70, 80, 90), (200, 60, 50), (60, 170, 80), (220, 190, 60)], dtype=np.float64
)
_NOISE: Final = 12.0


def draw_shapes(
    index: int, *, size: Size = (64, 96), num_shapes: int = 3, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture `index` of an endless set: RGB `(H, W, 3)` and its class mask `(H, W)`, both uint8.

    Shapes of random place and size, later over earlier, coloured by class with noise on top. The
    same `index`, `size`, `num_shapes` and `seed` give the same picture.

    Args:
        index: Which picture.
        size: `(H, W)` in pixels.
        num_shapes: How many shapes are drawn; some may hide others.
        seed: Of the whole set.
    """
    rng = np.random.default_rng((seed, index))
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros((height, width), dtype=np.uint8)
    for _ in range(num_shapes):
        kind = int(rng.integers(1, len(SHAPE_CLASSES)))
        down, right = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(0.1, 0.25) * min(height, width)
        above, left = np.abs(rows - down), np.abs(columns - right)
        is_inside = (
            np.hypot(above, left) <= radius,
            np.maximum(above, left) <= radius,
            left <= radius / 4,
        )[kind - 1]
        mask[is_inside] = kind
    noise = rng.normal(0, _NOISE, (height, width, 3))
    rgb = np.clip(np.rint(_COLOURS[mask] + noise), 0, 255).astype(np.uint8)
    return rgb, mask


def write_mask_folder(
    root: str | Path, *, num_images: int, size: Size = (64, 96), seed: int = 0
) -> Path:
    """Write pictures of shapes as layout `mask_folder` (PNG), and give `root` back.

    `images/` and `masks/` are made in `root`; open it with `num_classes=len(SHAPE_CLASSES)`.
    """
    root = Path(root)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(num_images):
        rgb, mask = draw_shapes(index, size=size, seed=seed)
        Image.fromarray(rgb).save(root / "images" / f"{index:04}.png")
        Image.fromarray(mask).save(root / "masks" / f"{index:04}.png")
    return root
