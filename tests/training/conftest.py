"""What tests of training share: pictures of shapes, and a recipe for the smallest ESPNet."""

from pathlib import Path

import pytest

from atrous.data.synthetic import SHAPE_CLASSES, write_mask_folder
from atrous.training.recipe import Recipe


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
