"""What tests of training share: pictures of shapes, volumes of balls, and recipes for the smallest
networks.
"""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.training.recipe.recipe import Recipe


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train` of 8 pictures of shapes and `val` of 4, 32x48, as layout `mask_folder`."""
    root = tmp_path_factory.mktemp("shapes")
    write_mask_folder(root / "train", num_images=8, size=(32, 48), seed=0)
    write_mask_folder(root / "val", num_images=4, size=(32, 48), seed=1)
    return root


@pytest.fixture
def recipe(shapes: Path) -> Recipe:
    """Three epochs of four steps, with all that has a state: average, clip, augmentation."""
    return Recipe(
        name="espnet.shapes",
        network="espnet",
        network_arguments={"p": 1, "q": 1},
        layout="mask_folder",
        data=(str(shapes),),
        train_split="train",
        val_split="val",
        num_classes=len(SHAPE_CLASSES),
        class_names=SHAPE_CLASSES,
        size=(32, 48),
        scale=(0.8, 1.2),
        brightness=0.2,
        class_weights="enet",
        epochs=3,
        batch_size=2,
        learning_rate=2e-3,
        schedule="one_cycle",
        clip=5.0,
        ema=0.9,
    )


BALL_CLASSES = ("background", "ball", "core")


def write_balls(root: Path, *, num_volumes: int, seed: int) -> None:
    """Layout `volume_folder`: balls with cores, in 14x16x18 voxels or a few more, of 1x1x2 mm."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for index in range(num_volumes):
        size = tuple(rng.integers(14, 19, 3))
        where = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
        distance = np.linalg.norm(where - rng.uniform(6, 9, 3), axis=-1)
        labels = (distance < 5).astype(np.uint8) + (distance < 2.5)
        image = 100.0 * labels + rng.normal(0, 20, size)
        for folder, values in (("images", image.astype(np.float32)), ("labels", labels)):
            file = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0]))
            nibabel.save(file, root / folder / f"ball_{index:02d}.nii.gz")


@pytest.fixture(scope="session")
def make_balls() -> Callable[..., None]:
    """`write_balls`, for tests that need others."""
    return write_balls


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train` of 4 volumes and `val` of 2."""
    root = tmp_path_factory.mktemp("balls")
    write_balls(root / "train", num_volumes=4, seed=0)
    write_balls(root / "val", num_volumes=2, seed=1)
    return root


@pytest.fixture
def volume_recipe(balls: Path) -> Recipe:
    """Two epochs of four steps, with all that draws random numbers or has a state."""
    return Recipe(
        name="residual_unet.balls",
        network="residual_unet",
        network_arguments={"width": 4, "num_stages": 2, "has_auxiliary": True},
        layout="volume_folder",
        data=(str(balls),),
        train_split="train",
        val_split="val",
        num_classes=len(BALL_CLASSES),
        class_names=BALL_CLASSES,
        size=(12, 12, 12),
        views_per_volume=2,
        foreground=0.5,
        scale=(0.8, 1.2),
        rotation=10,
        warp_probability=0.5,
        gamma=0.2,
        bias_field=0.2,
        noise=0.1,
        losses={"cross_entropy": 1.0, "dice": 1.0},
        epochs=2,
        batch_size=2,
        learning_rate=1e-2,
        ema=0.9,
    )
