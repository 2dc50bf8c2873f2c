"""A library user's lines: photos, a slide and a scan are predicted and scored, a network trains.

All data are drawn here, so that it runs anywhere; `scripts/check-wheel` runs it on the wheel alone.
The scores are those of networks that have seen next to nothing.
"""

from pathlib import Path

import nibabel
import numpy as np

import atrous
from atrous.data.synthetic.slides import write_slide_folder
from atrous.data.synthetic.tissue import write_tissue_folder


def draw() -> None:
    for split, first in (("train", 0), ("val", 4)):
        write_tissue_folder(
            "tissue", num_images=4, size=(128, 128), seed=0, split=split, first=first
        )
    write_slide_folder("slides", num_slides=1, size=(1200, 1500), seed=0, mpp=(1.0, 1.0))
    for folder in ("images", "labels"):
        Path("scans", folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = np.zeros((34, 50, 36), np.uint8)
    labels[10:20, 10:25, 10:20], labels[10:20, 25:40, 10:20] = 1, 2
    values = (rng.normal(100, 10, labels.shape) + 30 * (labels > 0)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), "scans/images/a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), "scans/labels/a.nii.gz")
    Path("recipe.toml").write_text(
        'name = "espnet.tissue"\nnetwork = "espnet"\nnetwork_arguments = {p = 1, q = 1}\n'
        'layout = "joint_folder"\ndata = ["tissue"]\ntrain_split = "train"\nval_split = "val"\n'
        "size = [64, 64]\nepochs = 1\nbatch_size = 2\nlearning_rate = 0.001\nnum_workers = 0\n"
        "mpp = 1.0\n"
    )


draw()
run = atrous.train("recipe.toml", "run")  # two steps
print(run)
print(atrous.predict(run.best, "tissue/val/images", "out/photos"))
print(atrous.evaluate(run.best, "tissue", "joint_folder", split="val"))
print(atrous.predict(run.best, "slides/images", "out/slides"))
print(atrous.evaluate(run.best, "slides", "slides"))
print(atrous.predict("hippocampus", "scans/images", "out/scans"))
print(atrous.evaluate("hippocampus", "scans", "volume_folder"))
