"""`predict` on whole slides: a folder each, resumable, shared, honest about what it cannot do."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from atrous.cli.predict import OPTIONS
from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.pipelines.option import declared, flag

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("zarr", reason="needs the extra slides")

SIZE = (700, 900)
TILE = 128
FILES = {
    "cooccurrence.png",
    "labels.ome.tif",
    "measurements.csv",
    "overlay.png",
    "regions.geojson",
    "run.json",
    "tissue.png",
}


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for number in range(2):
        kind = photo_tiles()
        rng = np.random.default_rng(number)
        height, width = (-(-length // TILE) * TILE for length in SIZE)
        photo = np.full((height, width, 3), 245, np.uint8)
        tissue = rng.integers(60, 200, (4, 5, 3)).astype(np.uint8)
        photo[50:650, 40:840] = tissue.repeat(150, 0).repeat(160, 1)
        tiles = (
            kind.encode(np.ascontiguousarray(photo[y : y + TILE, x : x + TILE]))
            for y in range(0, height, TILE)
            for x in range(0, width, TILE)
        )
        path = folder / f"slide{number}.tif"
        write_pyramid(path, tiles, kind=kind, size=SIZE, tile=TILE, mpp=(0.5, 0.5))
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_slide_gets_a_folder_and_is_done_once(atrous, slides, smooth_weights, tmp_path):
    out = tmp_path / "out"
    command = ("predict", smooth_weights, slides / "slide0.tif", "--out", out)
    code, text, error = atrous(*command)
    assert (code, error) == (0, "")
    assert "exact" in text or "blended" in text
    first = contents(out / "slide0")
    assert set(first) == FILES
    with tifffile.TiffFile(out / "slide0/labels.ome.tif") as tiff:
        labels = tiff.pages[0].asarray()
    assert labels.shape == SIZE
    note = json.loads(first["run.json"])
    run = labels[labels != 255]
    pixel = (0.5e-3) ** 2
    assert sum(note["areas_mm2"].values()) == pytest.approx(run.size * pixel)
    assert note["seam"]["protocol"]
    again, text, _ = atrous(*command)
    assert again == 0
    assert "done before" in text
    assert contents(out / "slide0") == first


@pytest.mark.slow
def test_the_results_are_the_same_to_the_byte_anywhere(atrous, slides, smooth_weights, tmp_path):
    for name in ("one", "two"):
        atrous("predict", smooth_weights, slides / "slide0.tif", "--out", tmp_path / name)
    assert contents(tmp_path / "one/slide0") == contents(tmp_path / "two/slide0")


def test_results_of_other_settings_are_kept(atrous, slides, smooth_weights, tmp_path):
    command = ("predict", smooth_weights, slides / "slide0.tif", "--out", tmp_path)
    atrous(*command)
    before = contents(tmp_path / "slide0")
    code, _, error = atrous(*command, "--at-mpp", 1.0)
    assert code == 2
    assert "holds results of another run (it differs in grid)" in error
    assert contents(tmp_path / "slide0") == before
    assert atrous(*command, "--at-mpp", 1.0, "--overwrite")[0] == 0
    with tifffile.TiffFile(tmp_path / "slide0/labels.ome.tif") as tiff:
        assert tiff.pages[0].shape == (350, 450)


def test_a_cohort_goes_on_past_a_bad_slide(atrous, slides, smooth_weights, tmp_path):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    for number in range(2):
        (cohort / f"slide{number}.tif").write_bytes((slides / f"slide{number}.tif").read_bytes())
    (cohort / "bad.svs").write_bytes((slides / "slide0.tif").read_bytes()[:900])
    out = tmp_path / "out"
    code, text, error = atrous("predict", smooth_weights, cohort, "--out", out)
    assert code == 1
    assert len(error.splitlines()) == 1
    assert "bad.svs" in error
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("bad")
    assert "not run" in lines[0]
    assert {path.name for path in out.iterdir()} == {"slide0", "slide1"}
    code, text, _ = atrous("predict", smooth_weights, cohort, "--out", out, "--json")
    record = json.loads(text)
    assert set(record["slides"]) == {"slide0", "slide1"}
    assert list(record["errors"]) == [str(cohort / "bad.svs")]


def test_a_cohort_of_broken_and_dangling_files_and_a_thumbnail(
    atrous, slides, smooth_weights, tmp_path
):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    whole = (slides / "slide0.tif").read_bytes()
    (cohort / "good.tif").write_bytes(whole)
    (cohort / "half.tif").write_bytes(whole[: len(whole) // 2])
    (cohort / "none.tif").touch()
    (cohort / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    (cohort / "gone.svs").symlink_to(tmp_path / "nowhere.svs")
    (cohort / "vsi.vsi").write_bytes(b"II*\x00" + bytes(60))
    Image.new("RGB", (40, 30)).save(cohort / "thumbnail.png")
    code, text, error = atrous(
        "predict", smooth_weights, cohort, "--out", tmp_path / "out", "--json"
    )
    assert code == 1
    record = json.loads(text)
    assert set(record["slides"]) == {"good"}
    failed = {"half.tif", "none.tif", "gone.tif", "gone.svs", "vsi.vsi"}
    assert set(record["errors"]) == {str(cohort / name) for name in failed}
    assert set(record["left_out"]) == {str(cohort / "thumbnail.png")}
    assert "an Olympus VSI" in record["errors"][str(cohort / "vsi.vsi")]
    assert "is not there" in record["errors"][str(cohort / "gone.tif")]
    assert "thumbnail.png is left out" in error


def test_a_lock_of_another_host_is_named_and_ends_with_1(atrous, slides, smooth_weights, tmp_path):
    (tmp_path / "slide0").mkdir()
    lock = {"host": "elsewhere", "process": 1, "token": "old"}
    (tmp_path / "slide0/.lock").write_text(json.dumps(lock))
    code, text, error = atrous("predict", smooth_weights, slides, "--out", tmp_path)
    assert code == 1
    assert "slide0 is being worked on by process 1 on elsewhere" in error
    assert "taken over" in error
    assert "slide0  not run:" in text


def test_a_slide_that_another_process_runs_is_left_to_it(atrous, slides, smooth_weights, tmp_path):
    from atrous.inference.slides.lock import hold

    (tmp_path / "slide0").mkdir()
    with hold(tmp_path / "slide0/.lock"):
        code, text, error = atrous("predict", smooth_weights, slides, "--out", tmp_path)
    assert code == 1  # not all that was asked for is done when this ends
    assert "slide0 is being worked on by process" in error
    assert "slide0  not run:" in text
    assert set(contents(tmp_path / "slide1")) == FILES


def test_a_plan_writes_nothing(atrous, slides, smooth_weights, tmp_path):
    out = tmp_path / "out"
    code, text, _ = atrous(
        "predict", smooth_weights, slides, "--out", out, "--plan", "--json", "--tile", 256
    )
    assert code == 0
    record = json.loads(text)["slide0"]
    assert record["size"] == list(SIZE)
    assert record["core"] == 256
    assert 0 < record["tiles"] <= record["tiles_of_the_slide"] == 12
    assert not out.exists()


def test_probabilities_agree_with_the_labels(atrous, slides, smooth_weights, tmp_path):
    atrous("predict", smooth_weights, slides / "slide0.tif", "--out", tmp_path, "--probabilities")
    with tifffile.TiffFile(tmp_path / "slide0/probabilities.ome.tif") as tiff:
        probabilities = tiff.pages[0].asarray()
    with tifffile.TiffFile(tmp_path / "slide0/labels.ome.tif") as tiff:
        labels = tiff.pages[0].asarray()
    assert probabilities.shape == (*SIZE, 4)
    is_run = labels != 255
    best = np.sort(probabilities, axis=-1).astype(int)
    is_clear = is_run & (best[..., -1] - best[..., -2] > 2)
    assert is_clear.mean() > 0.3
    np.testing.assert_array_equal(probabilities.argmax(-1)[is_clear], labels[is_clear])
    assert not probabilities[~is_run].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--memory", "much"), "such as 2G"),
        (("--memory", "701M"), "the ceiling is 0.7 GB; give --memory 1.4G or more"),
        (("--context", "fuzzy"), "context"),
        (("--tile", "-3"), "--tile is -3"),
        (("--at-mpp", "0"), "--at-mpp is 0"),
        (("--background", "blur"), "--background is for photos, and these are slides"),
        (("--flip",), "--flip is for volumes, and these are slides"),
    ],
)
def test_impossible_wishes_are_refused(atrous, slides, smooth_weights, tmp_path, options, message):
    out = tmp_path / "out"
    code, _, error = atrous(
        "predict", smooth_weights, slides / "slide0.tif", "--out", out, *options
    )
    assert code == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "option", [("--plan",), ("--tile", 256), ("--tissue", "t.png"), ("--flip",)]
)
def test_a_photo_takes_no_options_of_others(atrous, smooth_weights, tmp_path, option):
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    code, _, error = atrous(
        "predict", smooth_weights, tmp_path / "photo.png", "--out", out, *option
    )
    assert code == 2
    assert f"{option[0]} is for" in error
    assert "these are photos" in error
    assert not out.exists()


def test_every_option_of_predict_holds_for_some_files(atrous):
    text = atrous("predict", "--help")[1]
    options = set(re.findall(r"^ +(?:-[a-z], )?(--[a-z-]+)", text, re.MULTILINE))
    for_all = {"--out", "--weights", "--network", "--overwrite", "--device", "--json", "--help"}
    for_all |= {"--runtime", "--precision", "--recursive", "--threads"}
    of_kinds = {flag(field.name) for kind in OPTIONS.values() for field, _ in declared(kind)}
    assert options == of_kinds | for_all


def test_slides_and_images_do_not_mix(atrous, slides, smooth_weights, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    code, _, error = atrous(
        "predict", smooth_weights, slides / "slide0.tif", tmp_path / "photo.png", "--out", tmp_path
    )
    assert code == 2
    assert "1 slides (such as slide0.tif) and 1 images (such as photo.png)" in error


def test_a_photo_named_svs_is_told_as_such(atrous, smooth_weights, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.svs", format="JPEG")
    out = tmp_path / "out"
    code, _, error = atrous("predict", smooth_weights, tmp_path / "photo.svs", "--out", out)
    assert code == 2
    assert "a JPEG file by its first bytes, not a slide" in error
    assert not out.exists()
