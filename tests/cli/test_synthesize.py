"""`synthesize`: datasets that their layouts open, and refusals in one line."""

import pytest

from atrous.data import open_layout
from atrous.data.slides.parts import MOST_MPP


def test_tissue_in_two_splits(atrous, tmp_path):
    out = tmp_path / "set"
    options = ("--num-images", 4, "--val", 2, "--size", "64x72")
    code, text, error = atrous("synthesize", "tissue", out, *options)
    assert (code, error) == (0, "")
    assert "train (4) and val (2)" in text
    assert [len(open_layout("joint_folder", out, split=name)) for name in ("train", "val")] == [
        4,
        2,
    ]


def test_tissue_without_splits(atrous, tmp_path):
    code, _, _ = atrous("synthesize", "tissue", tmp_path / "set", "--num-images", 1, "--size", 64)
    assert code == 0
    assert len(open_layout("joint_folder", tmp_path / "set")) == 1


def test_shapes(atrous, tmp_path):
    code, text, _ = atrous(
        "synthesize", "shapes", tmp_path / "set", "--num-images", 3, "--size", "64x96"
    )
    assert code == 0
    assert "mask_folder" in text
    assert len(open_layout("mask_folder", tmp_path / "set", num_classes=4)) == 3


def test_slides(atrous, tmp_path):
    pytest.importorskip("imagecodecs", reason="needs the extra slides")
    openslide = pytest.importorskip("openslide", reason="needs the extra slides")
    options = ("--num-images", 1, "--size", "512x600", "--mpp", 0.5)
    code, text, error = atrous("synthesize", "slides", tmp_path / "set", *options)
    assert (code, error) == (0, "")
    assert "0.5 µm per pixel" in text
    with openslide.OpenSlide(tmp_path / "set" / "images" / "000.tif") as slide:
        assert slide.dimensions == (600, 512)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)


def test_slides_that_the_reader_would_refuse_are_not_made(atrous, tmp_path):
    code, _, error = atrous("synthesize", "slides", tmp_path / "set", "--mpp", MOST_MPP + 1)
    assert (code, "--mpp" in error) == (2, True)
    assert not (tmp_path / "set").exists()


def test_a_mosaic_of_a_made_slide(atrous, tmp_path):
    for module in ("imagecodecs", "skimage", "openslide"):
        pytest.importorskip(module, reason="needs the extra slides")
    made = ("--num-images", 1, "--size", "600x4096")
    assert atrous("synthesize", "slides", tmp_path / "set", *made)[0] == 0
    slide, out = tmp_path / "set" / "images" / "000.tif", tmp_path / "mosaic.tif"
    options = ("--size", "9000x12000", "--tissue-tiles", 40)
    code, text, error = atrous("synthesize", "mosaic", slide, out, *options)
    assert (code, error) == (0, "")
    assert "9000 x 12000 pixels" in text
    assert "40 of 1,692 tiles of 256 x 256 hold tissue" in text
    code, _, error = atrous("synthesize", "mosaic", slide, out)
    assert (code, "expected a new file" in error) == (2, True)
    code, _, error = atrous("synthesize", "mosaic", slide, tmp_path / "no" / "such.tif")
    assert (code, "is no folder" in error) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tissue", "new", "--size", "3x64x64"), "three numbers"),
        (("tissue", "new", "--size", "32x64"), "at least 64"),
        (("tissue", "new", "--size", "many"), "not positive whole numbers"),
        (("shapes", "new", "--val", "2"), "for tissue only"),
        (("slides", "new", "--size", "300x900"), "at least 512"),
        (("slides", "new", "--val", "1"), "for tissue only"),
        (("slides", "new", "--tissue-tiles", "9"), "for a mosaic only"),
        (("mosaic", "new"), "atrous synthesize mosaic SLIDE OUT"),
        (("tissue", "full"), "holds something"),
        (("tissue", "full/file.txt"), "holds something"),
        (("tissue", "full/file.txt/deeper"), "cannot be written in"),
    ],
)
def test_wrong_input_is_one_line(atrous, tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file.txt").write_text("mine")
    kind, out, *options = arguments
    code, text, error = atrous("synthesize", kind, tmp_path / out, *options)
    assert (code, text) == (2, "")
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_what_a_killed_run_left_is_made_anew(atrous, tmp_path):
    out = tmp_path / "shapes"
    (out / "images").mkdir(parents=True)
    (out / "images/0000.png").write_bytes(b"half")
    (out / ".atrous-unfinished").touch()
    code, _, err = atrous("synthesize", "shapes", str(out), "--num-images", "2")
    assert code == 0, err
    assert sorted(path.name for path in (out / "images").iterdir()) == ["0000.png", "0001.png"]
    assert not (out / ".atrous-unfinished").exists()
    code, _, err = atrous("synthesize", "shapes", str(out))
    assert code == 2
    assert "holds something" in err
