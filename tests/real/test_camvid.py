"""From a published checkpoint and photographs to the published kind of score, by the command."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.real


def pixels_of(path):
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture
def weights(atrous, shared, tmp_path):
    path = tmp_path / "espnet-camvid.safetensors"
    checkpoint = shared / "weights/espnet/decoder/espnet_p_2_q_8_camvid.pth"
    atrous("convert", checkpoint, "--to", path)
    return path


@pytest.mark.parametrize(
    ("protocol", "miou", "class_average", "pixel_accuracy"),
    [
        # SPEC 7: the authors' network on the 101 validation images.
        ("camvid_published", 68.681, 79.709, 91.899),
        ("void_ignored", 70.103, 79.709, 92.683),
    ],
)
def test_the_authors_network_reaches_its_scores(
    atrous, shared, weights, protocol, miou, class_average, pixel_accuracy
):
    text = atrous(
        "evaluate",
        *(weights, shared / "data" / "camvid"),
        *("--layout", "camvid", "--split", "val", "--protocol", protocol, "--json"),
    )
    record = json.loads(text)
    assert record["images"] == 101
    assert record["miou"] == pytest.approx(miou, abs=0.02)
    assert record["class_average_accuracy"] == pytest.approx(class_average, abs=0.02)
    assert record["pixel_accuracy"] == pytest.approx(pixel_accuracy, abs=0.02)
    low, high = record["interval"]["miou"]
    assert low < record["miou"] < high


def test_masks_of_the_validation_images(atrous, shared, weights, tmp_path):
    out = tmp_path / "out"
    atrous("predict", weights, shared / "data" / "camvid" / "val", "--out", out)
    masks = sorted((out / "masks").iterdir())
    assert len(masks) == len(list((out / "overlays").iterdir())) == 101
    truth = pixels_of(shared / "data/camvid/valannot" / masks[50].name)
    mask = pixels_of(masks[50])
    assert mask.shape == truth.shape == (360, 480)
    assert (mask == truth)[truth != 11].mean() > 0.85  # SPEC 7: 92.7 % over all of them


def test_a_photo_of_twelve_megapixels_fits_in_four_gigabytes(shared, weights, tmp_path):
    pytest.importorskip("resource", reason="memory of a child is read the Unix way")
    image = next((shared / "data" / "camvid" / "val").iterdir())
    large = Image.fromarray(pixels_of(image)).convert("RGB").resize((4000, 3000))
    large.save(tmp_path / "big.jpg")
    command = [sys.executable, "-m", "atrous.cli.main", "predict", str(weights)]
    command += [str(tmp_path / "big.jpg"), "--out", str(tmp_path / "o")]
    # From a small process: a child's peak begins with the size of the one that it was forked from.
    launched = [sys.executable, "-c", PEAK_OF_CHILD, *command]
    found = subprocess.run(launched, check=True, capture_output=True, text=True)
    assert pixels_of(tmp_path / "o/masks/big.png").shape == (3000, 4000)
    assert int(found.stdout.split()[-1]) * 1024 < 4e9


PEAK_OF_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_every_published_file_masks_a_photo_of_odd_size(atrous, shared, tmp_path):
    image = tmp_path / "odd.png"
    photo = next((shared / "data" / "people" / "images").iterdir())
    Image.fromarray(pixels_of(photo)).convert("L").resize((333, 221)).save(image)
    for checkpoint in sorted((shared / "weights" / "espnet").rglob("*.pth")):
        weights = tmp_path / f"{checkpoint.parent.name}-{checkpoint.stem}.safetensors"
        atrous("convert", checkpoint, "--to", weights)
        out = tmp_path / weights.stem
        atrous("predict", weights, image, "--out", out)
        assert pixels_of(out / "masks" / "odd.png").shape == (221, 333)


def test_the_demo_runs_to_its_end(atrous, shared, tmp_path):
    text = atrous("demo", "--shared", shared, "--out", tmp_path / "demo")
    assert "mean IoU                 68.68 %" in text
    assert len(list((tmp_path / "demo" / "overlays").iterdir())) >= 8
    assert (tmp_path / "demo" / "evaluation.html").stat().st_size > 100_000
