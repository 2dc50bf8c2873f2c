"""The page of a data check: self-contained, whole, and with the problems and samples it shows."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from atrous.data import open_layout
from atrous.data.augment.photos import Augmentation
from atrous.data.check.check import check_layout
from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes, write_mask_folder
from atrous.reports.data.page import data_page
from atrous.reports.data.pictures import NUM_VIEWS, PICTURE_SIDE, class_colours

SIZE = (40, 60)


@pytest.fixture
def root(tmp_path):
    for split, seed in (("train", 0), ("val", 1)):
        write_mask_folder(tmp_path / split, num_images=5, size=SIZE, seed=seed)
    (tmp_path / "classes.txt").write_text("\n".join(["back<ground>", *SHAPE_CLASSES[1:]]))
    return tmp_path


def page_of(samples, others=None, **kwargs):
    report = check_layout(samples, against=others)
    facts = {"command": "atrous data"}
    return data_page(
        title="some & data", report=report, samples=samples, others=others or {}, facts=facts,
        **kwargs,
    )  # fmt: skip


def opened(root, split="train", **kwargs):
    return open_layout("mask_folder", root, split=split, **kwargs)


def pictures(page):
    return [
        np.array(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    ]


def test_the_page_needs_nothing_from_elsewhere_and_names_are_escaped(root):
    page = page_of(opened(root))
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "back<ground>" not in page
    assert "back&lt;ground&gt;" in page
    assert "some &amp; data" in page
    assert page.rstrip().endswith("</html>")


def test_every_sample_and_six_views_of_four_are_shown(root):
    shown = pictures(page_of(opened(root)))
    assert len(shown) == 5 + 4 * (1 + NUM_VIEWS)
    assert all(picture.shape == (*SIZE, 3) for picture in shown)


def test_views_are_of_the_augmentation_that_is_given(root):
    page = page_of(opened(root), augmentation=Augmentation(size=(24, 32)))
    sizes = [picture.shape[:2] for picture in pictures(page)]
    assert sizes.count((24, 32)) == 4 * NUM_VIEWS
    assert "By the recipe" in page


def test_classes_have_their_share_and_number_of_images(root):
    page = page_of(opened(root))
    masks = [draw_shapes(index, size=SIZE)[1] for index in range(5)]
    for index in range(4):
        pixels = sum(int((mask == index).sum()) for mask in masks)
        assert f">{pixels:,}</td>" in page
        assert f">{100 * pixels / (5 * 40 * 60):.3f}</td>" in page
    assert "No errors, no warnings" in page


def test_broken_samples_are_listed_but_not_shown(root):
    (root / "train" / "images" / "0003.png").write_bytes(b"no picture")
    page = page_of(opened(root))
    assert "1 error" in page
    assert "0003.png: not an image this can read" in page
    assert len(pictures(page)) == 4 + 4 * (1 + NUM_VIEWS)


def test_an_image_of_another_split_is_shown_beside_its_copy(root):
    copy = Image.open(root / "train" / "images" / "0002.png")
    copy.save(root / "val" / "images" / "0004.png")
    page = page_of(opened(root), {"val": opened(root, "val")})
    assert "0002 is the same image as 0004 of val." in page
    assert ">val:0004</figcaption>" in page


def test_a_copy_whose_mask_is_broken_is_shown_without_it(root):
    copy = Image.open(root / "train" / "images" / "0002.png")
    for name in ("copy", "other"):
        copy.save(root / "train" / "images" / f"{name}.png")
    (root / "train" / "masks" / "copy.png").write_bytes(b"no picture")
    Image.new("L", (3, 3)).save(root / "train" / "masks" / "other.png")
    page = page_of(opened(root))
    assert "0002 = copy = other: the same image." in page
    assert page.count(">copy</figcaption>") == page.count(">other</figcaption>") == 1


def test_data_that_is_all_broken_still_gives_a_page(root):
    for path in (root / "train" / "images").iterdir():
        path.write_bytes(b"")
    page = page_of(opened(root))
    assert "5 errors" in page
    assert pictures(page) == []


def test_labels_are_counted_and_shown_in_turn(tmp_path):
    for index in range(40):
        folder = tmp_path / ("rare" if index in (7, 30) else "usual")
        folder.mkdir(exist_ok=True)
        Image.fromarray(draw_shapes(index, size=SIZE)[0]).save(folder / f"{index}.png")
    page = page_of(open_layout("image_folder", tmp_path))
    assert ">rare/7</figcaption>" in page
    assert ">rare/30</figcaption>" in page
    assert page.count(">usual/") > 10
    assert "<td>rare</td>" in page


def test_large_pictures_are_shrunk_and_narrow_ones_kept(tmp_path):
    write_mask_folder(tmp_path, num_images=1, size=(310, 420))
    rgb = np.zeros((1, 420, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "images" / "line.png")
    Image.fromarray(rgb[..., 0]).save(tmp_path / "masks" / "line.png")
    page = page_of(open_layout("mask_folder", tmp_path, num_classes=4))
    assert all(max(picture.shape[:2]) <= PICTURE_SIDE for picture in pictures(page))


def test_the_unlabelled_is_hatched_and_the_background_as_it_is(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (60, 40), (100, 100, 100)).save(tmp_path / "images" / "a.png")
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 20:40], mask[:, 40:] = 1, 255
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    picture = pictures(page_of(open_layout("mask_folder", tmp_path, num_classes=2)))[0].astype(int)
    assert abs(picture[:, 2:16] - 100).max() < 12
    assert abs(picture[:, 24:36] - picture[:, 24:36].mean()).max() > 10  # tinted: no longer grey
    assert picture[:, 44:].std() > 40


def test_known_classes_have_their_published_colours(tmp_path):
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
        Image.new("L", (8, 8), 3).save(tmp_path / folder / "a.png")
    colours = class_colours(open_layout("camvid", tmp_path, split="val"))
    assert len(colours) == 11
    assert colours[3] == (128, 64, 128)  # road, by the authors' palette
