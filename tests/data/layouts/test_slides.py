"""Slides in patches: what the grid covers, what is drawn, at which scale, and what is refused."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from atrous.data import open_layout
from atrous.data.combine import Subset, join
from atrous.data.layouts.slides import Slides
from atrous.data.synthetic.slides import write_slide_folder
from atrous.errors import DataError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("skimage", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from atrous.data.layouts.breast_biopsy import TISSUES  # noqa: E402
from atrous.data.slides.mask_map import ArrayLabelMap  # noqa: E402
from atrous.data.slides.read import open_slide  # noqa: E402
from atrous.reports.slides.mask_tiff import write_label_tiff  # noqa: E402

SIZE = (900, 1100)
PATCH = (128, 160)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three slides: benign, atypia and DCIS."""
    folder = tmp_path_factory.mktemp("slides")
    write_slide_folder(folder, num_slides=3, size=SIZE, seed=4, mpp=(0.5, 0.5))
    return folder


@pytest.fixture
def slides(root):
    return Slides(root).read_at(patch_size=PATCH)


def labels_of(root, name):
    with tifffile.TiffFile(root / "masks" / f"{name}.tif") as tiff:
        return tiff.pages[0].asarray()


def test_the_grid_covers_every_labelled_piece_of_tissue_once(root, slides):
    found = sum(
        np.bincount(slides.rgb8_and_mask(i)[1].numpy().ravel(), minlength=256)
        for i in range(len(slides))
    )
    truths = json.loads((root / "truth.json").read_text())
    for label, name in enumerate(TISSUES[1:], 1):
        expected = sum(truth["num_pixels"][name] for truth in truths.values())
        assert 0.995 * expected <= found[label] <= expected, name
    assert len(set(slides.names)) == len(slides)
    whole = 3 * int(np.prod(np.ceil(np.divide(SIZE, PATCH))))
    assert len(slides) < whole, "glass alone is no sample"


def test_a_patch_is_the_slide_and_its_labels_there(root, slides):
    index = len(slides) // 2
    name, top, left = slides.names[index].split("_")
    top, left = int(top), int(left)
    rgb, mask = slides.rgb8_and_mask(index)
    with open_slide(root / "images" / f"{name}.tif") as slide:
        assert np.array_equal(rgb, slide.read((top, left), PATCH, mpp=0.5))
    truth = labels_of(root, name)[top : top + PATCH[0], left : left + PATCH[1]]
    assert np.array_equal(mask[: truth.shape[0], : truth.shape[1]], truth)
    sample = slides[index]
    assert sample.spacing == (0.5, 0.5)
    assert torch.equal(sample.image, torch.from_numpy(rgb).permute(2, 0, 1).float() / 255)


def test_patches_reach_beyond_the_slide_in_white_and_unlabelled(root):
    slides = Slides(root).read_at(patch_size=(1024, 1200))
    rgb, mask = slides.rgb8_and_mask(0)
    assert (rgb[SIZE[0] :] == 255).all()
    assert (mask[SIZE[0] :] == 255).all()
    assert (mask[:, SIZE[1] :] == 255).all()
    assert (mask[: SIZE[0], : SIZE[1]] != 255).all()


def test_centres_are_drawn_evenly_among_the_classes(slides):
    rng = np.random.default_rng(0)
    number = 350
    centres = [int(slides.draw(rng)[1][PATCH[0] // 2, PATCH[1] // 2]) for _ in range(number)]
    counts = np.bincount(centres, minlength=8)
    present = [
        label for label in range(8) if any((labels_of(r, n) == label).any() for r, n in on(slides))
    ]
    share = number / len(present)
    spread = (number * (1 / len(present)) * (1 - 1 / len(present))) ** 0.5
    assert len(present) >= 6
    assert all(abs(counts[label] - share) < 4 * spread for label in present)
    assert counts.sum() == counts[present].sum()


def on(slides):
    return [(pair.image.parent.parent, pair.name) for pair in slides.pairs]


def test_a_drawn_patch_depends_on_the_generator_alone(slides):
    other = pickle.loads(pickle.dumps(slides))  # noqa: S301 - made a moment ago
    for seed in range(3):
        (rgb, mask, name), (again, mask_again, name_again) = (
            layout.draw(np.random.default_rng(seed)) for layout in (slides, other)
        )
        assert name == name_again
        assert np.array_equal(rgb, again)
        assert torch.equal(mask, mask_again)


def test_at_another_scale_a_pixel_has_the_label_under_its_centre(root):
    slides = Slides(root).read_at(mpp=1.25, patch_size=(256, 256))
    index = len(slides) // 2
    name, top, left = slides.names[index].split("_")
    truth, (_, mask) = labels_of(root, name), slides.rgb8_and_mask(index)
    for row, column in ((3, 5), (100, 60), (40, 90)):
        down = int((int(top) + row + 0.5) * SIZE[0] / round(SIZE[0] / 2.5))
        right = int((int(left) + column + 0.5) * SIZE[1] / round(SIZE[1] / 2.5))
        inside = down < SIZE[0] and right < SIZE[1]
        assert mask[row, column] == (truth[down, right] if inside else 255)


def test_labels_of_another_scale_than_the_slide_are_laid_over_it(root, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    shutil.copy(root / "images" / "001.tif", tmp_path / "images")
    coarse = np.ascontiguousarray(labels_of(root, "001")[1::3, 1::3])
    write_label_tiff(
        ArrayLabelMap(coarse),
        tmp_path / "masks" / "001.ome.tif",
        palette=[(label, label, label) for label in range(8)],
        class_names=TISSUES,
        mpp=(1.5, 1.5),
    )
    slides = Slides(tmp_path, num_classes=8).read_at(mpp=1.5, patch_size=SIZE)
    _, mask = slides.rgb8_and_mask(0)
    assert np.array_equal(mask[: coarse.shape[0], : coarse.shape[1] - 1], coarse[:, :-1])


def test_polygons_beside_the_slide_are_its_truth(root, tmp_path):
    shutil.copy(root / "images" / "002.tif", tmp_path / "a.tif")
    (tmp_path / "classes.txt").write_text("stroma\ntumour\n")
    ring = [[300, 200], [300, 700], [800, 700], [800, 200], [300, 200]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "tumour"}},
    }
    collection = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "a.geojson").write_text(json.dumps(collection))
    slides = Slides(tmp_path).read_at(mpp=1.0, patch_size=(450, 550))
    _, mask = slides.rgb8_and_mask(0)
    expected = np.full((450, 550), 255)
    expected[100:350, 150:400] = 1  # half as many pixels as at level 0
    assert np.array_equal(mask, expected)
    assert slides.files(0) == (tmp_path / "a.tif", tmp_path / "a.geojson")


def test_a_subset_lists_slides_in_its_order(root, tmp_path):
    listed = tmp_path / "some.txt"
    listed.write_text("002\n000\n")
    slides = open_layout("slides", root, subset=listed, patch_size=(512, 512))
    assert [pair.name for pair in slides.pairs] == ["002", "000"]
    assert {name[:3] for name in slides.names} == {"000", "002"}
    listed.write_text("002\n007\n")
    with pytest.raises(DataError, match=r"1 of 2 listed slides are not in the data.*'007'"):
        open_layout("slides", root, subset=listed)


def test_joined_and_renamed_slides_are_drawn_from_too(root, tmp_path):
    class_map = tmp_path / "two.toml"
    lines = [f'"{name}" = "tissue"' for name in TISSUES[1:]]
    class_map.write_text(
        "\n".join(['classes = ["glass", "tissue"]', "[data]", 'background = "glass"', *lines])
    )
    mapped = open_layout("slides", root, remap=class_map, patch_size=PATCH)
    assert mapped.is_drawn
    _, mask, _ = mapped.draw(np.random.default_rng(1))
    assert set(mask.unique().tolist()) <= {0, 1, 255}
    both = join([mapped, mapped], ["a", "b"])
    assert both.is_drawn
    names = [both.draw(np.random.default_rng(seed))[2] for seed in range(20)]
    assert {name[0] for name in names} == {"a", "b"}


def test_the_first_few_patches_of_the_grid_are_a_layout_of_their_own(slides):
    few = Subset(slides, range(2))
    assert few.names == slides.names[:2]
    assert not few.is_drawn


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: (f / "masks" / "001.tif").unlink(), DataError, "1 of 3 slides have no truth"),
        (lambda f: (f / "classes.txt").unlink(), DataError, "no classes.txt with a name a line"),
        (lambda f: shutil.rmtree(f / "images"), DataError, "no slides here|no images/ here"),
        (
            lambda f: shutil.copy(f / "masks" / "001.tif", f / "masks" / "001.tiff"),
            DataError,
            "share the stem '001'",
        ),
    ],
)
def test_folders_that_are_not_so_are_refused(root, tmp_path, spoil, error, message):
    folder = tmp_path / "copy"
    shutil.copytree(root, folder)
    spoil(folder)
    with pytest.raises(error, match=message):
        Slides(folder)


def test_labels_of_another_slide_are_refused(root, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(root, folder)
    small = np.zeros((600, 600), np.uint8)
    write_label_tiff(
        ArrayLabelMap(small),
        folder / "masks" / "001.tif",
        palette=[(label, label, label) for label in range(8)],
        class_names=TISSUES,
        mpp=(0.5, 0.5),
    )
    with pytest.raises(DataError, match=r"labels of 300 x 300 µm .* beside a slide of 450 x 550"):
        len(Slides(folder))


def test_a_label_that_is_no_class_is_told_with_its_file(root):
    (folder := root.parent / "few").mkdir(exist_ok=True)
    shutil.copytree(root, folder, dirs_exist_ok=True)
    (folder / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"masks/\d+.tif: The label map holds class"):
        len(Slides(folder, num_classes=2))


def test_slides_on_which_no_tissue_is_labelled_are_refused(root, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(root, folder)
    for mask in (folder / "masks").iterdir():
        write_label_tiff(
            ArrayLabelMap(np.full(SIZE, 255, np.uint8)),
            mask,
            palette=[(label, label, label) for label in range(8)],
            class_names=TISSUES,
            mpp=(0.5, 0.5),
        )
    with pytest.raises(DataError, match="nothing is labelled where the slides show tissue"):
        len(Slides(folder))


@pytest.mark.parametrize("settings", [{"mpp": 0.0}, {"patch_size": (0, 5)}])
def test_no_scale_and_no_patch_are_refused(slides, settings):
    with pytest.raises(DataError, match="expected both above 0"):
        slides.read_at(**settings)
