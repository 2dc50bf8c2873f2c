"""The shared data sets through the layouts, and every shared photo against Pillow's own reading."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from atrous.data import list_images, open_layout, read_image, read_rgb8
from atrous.errors import DataError

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("layout", "folder", "split", "num_classes", "num_samples", "classes"),
    [
        ("camvid", "camvid", "val", None, 101, {*range(11), 255}),
        ("camvid", "camvid", "train", None, 367, {*range(11), 255}),
        ("mask_folder", "people", None, 2, 300, {0, 1}),
        ("mask_folder", "people_varied", None, 2, 249, {0, 1}),
        ("mask_folder", "breast_biopsy", None, 8, 5, set(range(7))),
        ("binary_folder", "nuclei", "train", None, 12, {0, 1}),
        ("binary_folder", "nuclei", "val", None, 6, {0, 1}),
    ],
)
def test_every_sample_is_read(shared, layout, folder, split, num_classes, num_samples, classes):
    dataset = open_layout(layout, shared / "data" / folder, split=split, num_classes=num_classes)
    assert len(dataset) == num_samples
    seen: set[int] = set()
    for index in range(num_samples):
        rgb, mask = dataset.rgb8_and_mask(index)
        assert rgb.shape == (*mask.shape, 3)
        seen.update(torch.bincount(mask.flatten()).nonzero().flatten().tolist())
    assert seen == classes


def test_camvid_images_are_480_by_360(shared):
    sample = open_layout("camvid", shared / "data" / "camvid", split="val")[0]
    assert sample.image.shape == (3, 360, 480)
    assert sample.mask.shape == (360, 480)


def test_nuclei_masks_are_refused_as_index_masks(shared):
    with pytest.raises(DataError, match=r"only 0 and 255.*binary_folder"):
        open_layout("mask_folder", shared / "data" / "nuclei", split="val", num_classes=2)


@pytest.mark.parametrize(
    "pattern", ["people/images", "people_varied/images", "imagenette/**", "camvid/val"]
)
def test_photos_are_read_as_pillow_reads_them(shared, pattern):
    for path in list_images([shared / "data" / pattern])[::7]:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        assert np.array_equal(read_rgb8(path), expected)
        assert torch.equal(
            read_image(path).mul(255).round().byte().permute(1, 2, 0), torch.tensor(expected)
        )


def test_a_slide_is_refused_with_its_pages(shared):
    slide = shared / "data" / "slides" / "cmu-1-small-region.svs"
    with pytest.raises(DataError, match=r"TIFF file of \d+ pages; expected one page"):
        read_rgb8(slide)


def test_a_dicom_file_is_refused(shared):
    with pytest.raises(DataError, match="not an image this can read"):
        read_rgb8(shared / "data" / "slides" / "small_dicom.dcm")
