"""`evaluate` on whole slides: what `predict` says of them, counted against the truth."""

import json
import re

import numpy as np
import pytest
import torch

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.metrics import score
from atrous.metrics.confusion import confusion_matrix
from atrous.reports.slides.mask_tiff import write_label_tiff

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("zarr", reason="needs the extra slides")

SIZE = (420, 610)
TILE = 128
NAMES = ("background", "disc", "square", "stripe")
COLOURS = ((128, 64, 0), (0, 128, 255), (255, 0, 0), (0, 160, 0))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("\n".join(NAMES))
    for number in range(2):
        rng = np.random.default_rng(number)
        kind = photo_tiles()
        height, width = (-(-length // TILE) * TILE for length in SIZE)
        photo = np.full((height, width, 3), 245, np.uint8)
        tissue = rng.integers(60, 200, (4, 5, 3)).astype(np.uint8)
        photo[20:380, 40:590] = tissue.repeat(90, 0).repeat(110, 1)
        tiles = (
            kind.encode(np.ascontiguousarray(photo[y : y + TILE, x : x + TILE]))
            for y in range(0, height, TILE)
            for x in range(0, width, TILE)
        )
        write_pyramid(
            root / f"images/slide{number}.tif",
            tiles,
            kind=kind,
            size=SIZE,
            tile=TILE,
            mpp=(0.5, 0.5),
        )
        write_label_tiff(
            ArrayLabelMap(truth_of(number)),
            root / f"masks/slide{number}.tif",
            class_names=NAMES,
            palette=COLOURS,
            mpp=(0.5, 0.5),
        )
    return root


def truth_of(number):
    """Blocks of four classes; the right side has no label."""
    blocks = np.random.default_rng(10 + number).integers(0, 4, (7, 10)).astype(np.uint8)
    truth = blocks.repeat(60, 0).repeat(61, 1)
    truth[:, 400 + 50 * number :] = 255
    return truth


def expected_matrix(atrous, weights, data, out, *options):
    """From the label TIFFs that `predict` writes."""
    code, _, _ = atrous(
        "predict", weights, data / "images", "--out", out, "--all-tiles", "--tile", 128, *options
    )
    assert code == 0
    matrix = torch.zeros(5, 4, dtype=torch.int64)
    for number in range(2):
        said = tifffile.imread(out / f"slide{number}/labels.ome.tif")
        matrix += confusion_matrix(
            torch.from_numpy(truth_of(number)), torch.from_numpy(said), num_classes=4
        )
    return matrix


@pytest.mark.parametrize("context", ["exact", "blended"])
def test_the_score_is_that_of_what_predict_writes(atrous, data, smooth_weights, tmp_path, context):
    options = ("--context", context)
    matrix = expected_matrix(atrous, smooth_weights, data, tmp_path / "out", *options)
    expected = score(matrix, protocol="void_ignored")
    code, text, error = atrous(
        *("evaluate", smooth_weights, data, "--layout", "slides", "--tile", 128, "--json"),
        *options,
    )
    assert (code, error) == (0, "")
    record = json.loads(text)
    assert record["protocol"] == "void_ignored"
    assert record["images"] == 2
    assert record["miou"] == pytest.approx(100 * expected.mean_iou, abs=1e-4)
    assert list(record["iou"].values()) == pytest.approx(
        [100 * value for value in expected.class_iou], abs=1e-4
    )
    assert record["context"]["kind"] == context
    assert set(record["slides"]) == {"slide0", "slide1"}


def test_classes_are_merged_by_a_map(atrous, data, smooth_weights, tmp_path):
    path = tmp_path / "map.toml"
    names = {name: ("thing" if name in ("disc", "square") else "rest") for name in NAMES}
    side = "\n".join(f'"{name}" = "{to}"' for name, to in names.items())
    path.write_text(f'classes = ["rest", "thing"]\n[data]\n{side}\n[network]\n{side}\n')
    matrix = expected_matrix(atrous, smooth_weights, data, tmp_path / "out")
    merge = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]])
    rows = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]])
    expected = score(rows @ matrix @ merge, protocol="void_ignored")
    command = ("evaluate", smooth_weights, data, "--layout", "slides", "--tile", 128)
    code, text, _ = atrous(*command, "--class-map", path, "--json")
    assert code == 0
    assert json.loads(text)["miou"] == pytest.approx(100 * expected.mean_iou, abs=1e-4)


def test_text_and_page_say_how(atrous, data, smooth_weights, tmp_path):
    page = tmp_path / "page.html"
    code, text, _ = atrous(
        *("evaluate", smooth_weights, data, "--layout", "slides", "--html", page),
    )
    assert code == 0
    assert re.search(r"2 slides, protocol void_ignored", text)
    assert "µm per pixel" in text
    assert "mean IoU by slide" in text
    html = page.read_text()
    assert "Worst slides" in html
    assert "bootstrap over slides" in html


@pytest.mark.parametrize(
    "option", [("--flip",), ("--scales", "1,2"), ("--boundary",), ("--displaced",)]
)
def test_what_slides_make_no_use_of_is_refused(atrous, data, smooth_weights, option):
    code, _, error = atrous("evaluate", smooth_weights, data, "--layout", "slides", *option)
    assert code == 2
    assert option[0] in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", [("--memory", "1G"), ("--displaced",)])
def test_what_images_make_no_use_of_is_refused(atrous, tiny_weights, tmp_path, option):
    from atrous.data.synthetic.shapes import write_mask_folder

    folder = write_mask_folder(tmp_path / "data", num_images=1, size=(16, 16))
    code, _, error = atrous("evaluate", tiny_weights, folder, "--layout", "mask_folder", *option)
    assert code == 2
    assert option[0] in error


def test_a_slide_without_labels_is_left_out_and_named(atrous, data, smooth_weights, tmp_path):
    root = tmp_path / "data"
    (root / "masks").mkdir(parents=True)
    (root / "images").symlink_to(data / "images")
    (root / "classes.txt").write_text("\n".join(NAMES))
    for number in range(2):
        truth = truth_of(number) if number else np.full(SIZE, 255, np.uint8)
        write_label_tiff(
            ArrayLabelMap(truth),
            root / f"masks/slide{number}.tif",
            class_names=NAMES,
            palette=COLOURS,
            mpp=(0.5, 0.5),
        )
    (root / "masks/other.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    command = ("evaluate", smooth_weights, root, "--layout", "slides", "--json")
    code, text, error = atrous(*command)
    assert code == 0
    record = json.loads(text)
    assert set(record["slides"]) == {"slide1"}
    assert record["notes"] == [
        "1 truths are passed over, for no slide has their names: other.geojson",
        "slide0 is left out: nothing of it is labelled",
    ]
    assert "nothing of it is labelled" in error


def test_truth_and_prediction_that_share_nothing_are_said():
    from types import SimpleNamespace

    from atrous.pipelines.evaluate.slides import _said_of_slides

    counts = [SimpleNamespace(name=name, notes=()) for name in "ab"]
    scores = [SimpleNamespace(mean_iou=iou) for iou in (0.02, 0.4)]
    said = _said_of_slides(counts, scores)
    assert len(said) == 1
    assert said[0].startswith("a: truth and prediction hardly overlap (mean IoU 2.0%)")
    assert "--frame" in said[0]
