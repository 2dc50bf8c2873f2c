"""Images of other channels than red, green and blue: trained on, scored and run, as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

import atrous
from atrous.data.augment.photos import Augmentation, augment
from atrous.data.catalog import open_layout
from atrous.data.check.check import check_layout
from atrous.data.photos.bands import channel_statistics, picture_of_bands, read_bands
from atrous.errors import DataError
from atrous.training.run.open import open_run

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")

KINDS = {
    "uint8": (4, np.uint8, 255),
    "uint16": (6, np.uint16, 65535),
    "float": (5, np.float32, 1),
    "reflectance": (16, np.float32, 1),
}


def bands_of(disc, channels, rng):
    """Noise in all channels; the last alone shows the disc."""
    bands = rng.uniform(0.2, 0.4, (*disc.shape, channels))
    bands[..., -1] = 0.1 + 0.7 * disc
    return bands


@pytest.fixture(params=KINDS)
def bands_folder(request, tmp_path):
    """`train` of 4 and `val` of 2 images 32x48, whose mask the last channel alone shows."""
    channels, dtype, most = KINDS[request.param]
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :48]
    for split, count in (("train", 4), ("val", 2)):
        for folder in ("images", "masks"):
            (tmp_path / "data" / split / folder).mkdir(parents=True)
        for number in range(count):
            cy, cx = rng.integers(10, 22), rng.integers(12, 36)
            disc = (y - cy) ** 2 + (x - cx) ** 2 < 64
            values = bands_of(disc, channels, rng) * most
            tifffile.imwrite(
                tmp_path / f"data/{split}/images/{number}.tif",
                values.astype(dtype),
                photometric="rgb" if channels == 4 else "minisblack",
                planarconfig="contig",
                extrasamples=["unspecified"] if channels == 4 else None,
                metadata=None,
            )
            Image.fromarray(disc.astype(np.uint8)).save(
                tmp_path / f"data/{split}/masks/{number}.png"
            )
    return tmp_path / "data", channels


def test_channels_are_learnt_scored_and_run(recipe, tmp_path, bands_folder):
    root, channels = bands_folder
    changes = {
        "data": (str(root),),
        "num_classes": 2,
        "class_names": ("ground", "disc"),
        "epochs": 25,
        "evaluate_every": 25,
        "brightness": 0.0,
        "class_weights": "none",
        "ema": None,
        "learning_rate": 1e-2,
    }
    run = open_run(replace(recipe, **changes), tmp_path / "run", Accelerator(cpu=True))
    assert run.card.arguments["in_channels"] == channels
    images = [
        read_bands(path).reshape(-1, channels) for path in sorted(root.glob("train/images/*"))
    ]
    pixels = np.concatenate(images).astype(np.float64)
    assert np.allclose(run.card.preprocessing.mean, pixels.mean(axis=0), atol=1e-9)
    assert np.allclose(run.card.preprocessing.std, pixels.std(axis=0), atol=1e-9)
    for _ in run.steps():
        pass
    # Only the last channel tells the disc from the ground.
    assert run.history[-1]["class_iou"]["disc"] > 50
    model = atrous.load(tmp_path / "run/best.safetensors")
    score = atrous.evaluate(model, root, "mask_folder", split="val")
    assert score.record["miou"] == pytest.approx(run.history[-1]["scores"]["miou"], abs=0.01)
    path = root / "val/images/0.tif"
    report = atrous.predict(model, path, tmp_path / "out")
    assert not report.errors
    with Image.open(tmp_path / "out/masks/0.png") as opened:
        written = np.asarray(opened)
    assert np.array_equal(written, model.predict(path).mask.numpy())
    assert np.array_equal(written, model.predict(read_bands(path)).mask.numpy())
    assert (tmp_path / "out/overlays/0.png").is_file()


def test_the_check_takes_them(bands_folder):
    root, channels = bands_folder
    data = open_layout("mask_folder", root, split="train", num_classes=2)
    assert data.num_channels == channels
    report = check_layout(data)
    assert not report.errors
    assert not [problem for problem in report.warnings if problem.kind == "left_out"]


def test_an_image_of_other_channels_among_them_is_an_error(bands_folder):
    root, channels = bands_folder
    tifffile.imwrite(
        root / "train/images/3.tif",
        np.zeros((32, 48, channels + 1), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
    )
    data = open_layout("mask_folder", root, split="train", num_classes=2)
    with pytest.raises(DataError, match=f"{channels + 1} channels; expected {channels}"):
        data.pixels_and_mask(3)


def test_views_of_floats_are_those_of_bytes_but_for_rounding():
    rng = np.random.default_rng(0)
    # Far from black and white, where bytes are clipped and floats are not.
    pixels = torch.from_numpy(rng.integers(70, 170, (5, 20, 30), dtype=np.uint8))
    mask = torch.zeros(20, 30, dtype=torch.uint8)
    wild = Augmentation(
        size=(24, 24), scale=(0.5, 2), rotation=30, brightness=0.3, blur=1.0, fill=None
    )
    for seed in range(20):
        ours, _ = augment(pixels.float() / 255, mask, wild, np.random.default_rng(seed))
        other, _ = augment(pixels, mask, wild, np.random.default_rng(seed))
        assert ours.dtype == torch.float32
        assert (255 * ours - other.float()).abs().max() <= 3


def test_statistics_are_numpys():
    rng = np.random.default_rng(0)
    images = [rng.normal(3, 2, (7, 9, 4)).astype(np.float32) for _ in range(3)]
    mean, std = channel_statistics(images)
    pixels = np.concatenate([image.reshape(-1, 4) for image in images]).astype(np.float64)
    assert np.allclose(mean, pixels.mean(axis=0))
    assert np.allclose(std, pixels.std(axis=0))
    assert channel_statistics([np.ones((2, 2, 1), np.float32)]) == ((1.0,), (1.0,))


def test_a_picture_shows_the_first_three_channels_from_dark_to_light():
    ramp = np.linspace(0, 5000, 1000, dtype=np.float32).reshape(20, 50)
    bands = np.stack([ramp, ramp[::-1], ramp * 0, ramp], axis=-1)
    picture = picture_of_bands(bands)
    assert picture.shape == (20, 50, 3)
    assert picture[..., 0].min() == 0
    assert picture[..., 0].max() == 255
    assert np.array_equal(picture[..., 1], picture[::-1, :, 0])
    assert not picture[..., 2].any()
