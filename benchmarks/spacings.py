"""Dice of the shipped hippocampus on its validation scans brought to other grids.

    python -m benchmarks.spacings DATA [--scans 40]

DATA is a folder with `images` and `labels` as in `../shared/data/hippocampus`. Scans are
interpolated linearly and labels by nearest neighbour by scipy, not by our own code; the truth is
scored on the grid that the network was given. Protocol absent_left_out, means over the scans.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from atrous._extras import require
from atrous.data.catalog import open_layout
from atrous.inference.load import load, require_volume_model
from atrous.metrics.volumes import class_regions, score_case

nibabel = require("nibabel", extra="volumes")

Grid = Callable[[Path, Path, int], None]


def zoomed(*spacing: float) -> Grid:
    """A grid of that spacing in mm along the file's axes, its borders where they were."""

    def write(source: Path, target: Path, order: int) -> None:
        image = nibabel.load(source)
        values = np.asarray(image.dataobj).astype(np.float32)
        factors = [1 / step for step in spacing]
        found = ndimage.zoom(values, factors, order=order, grid_mode=True, mode="nearest")
        affine = image.affine.copy()
        affine[:3, :3] *= [old / new for old, new in zip(values.shape, found.shape, strict=True)]
        _write(found, affine, target, order)

    return write


def padded(source: Path, target: Path, order: int) -> None:
    """Ten voxels of zeros on every side."""
    image = nibabel.load(source)
    values = np.pad(np.asarray(image.dataobj).astype(np.float32), 10)
    affine = image.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ (10, 10, 10)
    _write(values, affine, target, order)


GRIDS: dict[str, Grid] = {
    "1 mm": zoomed(1, 1, 1),
    "0.5 mm": zoomed(0.5, 0.5, 0.5),
    "2 mm": zoomed(2, 2, 2),
    "1 x 1 x 3 mm": zoomed(1, 1, 3),
    "0.5 x 0.5 x 3 mm": zoomed(0.5, 0.5, 3),
    "1 mm, ten voxels of zeros around": padded,
}


def _write(values: NDArray[np.float32], affine: NDArray[np.float64], to: Path, order: int) -> None:
    stored = values if order else values.round().astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(stored, affine), to)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scans", type=int, default=40, help="the last so many by name")
    arguments = parser.parse_args()
    model = require_volume_model(load("hippocampus"))
    regions = class_regions(model.card.class_names)
    scans = sorted((arguments.data / "images").glob("*.nii.gz"))[-arguments.scans :]
    for name, write in GRIDS.items():
        dice = []
        with TemporaryDirectory() as folder:
            for part in ("images", "labels"):
                (Path(folder) / part).mkdir()
            for scan in scans:
                write(scan, Path(folder) / "images" / scan.name, 1)
                write(arguments.data / "labels" / scan.name, Path(folder) / "labels" / scan.name, 0)
            data = open_layout("volume_folder", folder, num_classes=3)
            for index in range(len(data)):
                volume, truth = data.volume_and_mask(index)
                said = model.predict(volume)
                scores = score_case(truth, said.mask, regions=regions, spacing=volume.spacing)
                dice.append([100 * score.dice for score in scores.values()])
        means = ", ".join(
            f"{region} {mean:.1f}" for region, mean in zip(regions, np.mean(dice, 0), strict=True)
        )
        print(f"{name:<34} Dice % {means}  ({len(dice)} scans)", flush=True)


if __name__ == "__main__":
    main()
