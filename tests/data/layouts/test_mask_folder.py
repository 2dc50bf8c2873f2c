"""Folders of images and masks: splits, pairing, and every way a mask can be wrong."""

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch.utils.data import DataLoader

from atrous.data import BinaryFolder, MaskFolder, Sample
from atrous.data.check.check import check_layout
from atrous.data.dataset import MaskValueError
from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes, write_mask_folder
from atrous.errors import DataError, UnknownNameError

NUM_CLASSES = len(SHAPE_CLASSES)


@pytest.fixture
def root(tmp_path):
    return write_mask_folder(tmp_path / "shapes", num_images=3, size=(20, 30))


def put_mask(root, values, name="0001.png"):
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(root / "masks" / name)


def test_gives_the_samples_that_were_written(root):
    dataset = MaskFolder(root, num_classes=NUM_CLASSES)
    assert [sample.name for sample in dataset] == ["0000", "0001", "0002"]
    for index in range(3):
        rgb, mask = draw_shapes(index, size=(20, 30))
        read_rgb, read_mask = dataset.rgb8_and_mask(index)
        assert np.array_equal(read_rgb, rgb)
        assert torch.equal(read_mask, torch.from_numpy(mask).long())
        sample = dataset[index]
        assert torch.equal(sample.image, torch.from_numpy(rgb).permute(2, 0, 1) / 255)
        assert torch.equal(sample.mask, read_mask)


def test_a_data_loader_with_workers_takes_it(root):
    loader = DataLoader(MaskFolder(root, num_classes=NUM_CLASSES), num_workers=1, batch_size=None)
    samples = list(loader)
    assert all(isinstance(sample, Sample) for sample in samples)
    assert [sample.name for sample in samples] == ["0000", "0001", "0002"]


def test_stems_pair_across_suffixes_and_extra_masks_are_left(root):
    rgb, mask = draw_shapes(9, size=(20, 30))
    Image.fromarray(rgb).save(root / "images" / "new.bmp")
    Image.fromarray(mask).save(root / "masks" / "new.tif")
    put_mask(root, mask, "extra.png")
    dataset = MaskFolder(root, num_classes=NUM_CLASSES)
    assert dataset.names == ("0000", "0001", "0002", "new")
    assert torch.equal(dataset[3].mask, torch.from_numpy(mask).long())


def test_a_split_is_a_folder_with_the_two_in_it(tmp_path):
    write_mask_folder(tmp_path / "train", num_images=2)
    write_mask_folder(tmp_path / "val", num_images=1)
    assert len(MaskFolder(tmp_path, num_classes=NUM_CLASSES, split="train")) == 2
    assert len(MaskFolder(tmp_path, num_classes=NUM_CLASSES, split="val")) == 1


def test_an_unknown_split_is_answered_with_those_that_exist(tmp_path):
    for split in ("train", "val"):
        write_mask_folder(tmp_path / split, num_images=1)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'train'\? Known: train, val"):
        MaskFolder(tmp_path, num_classes=NUM_CLASSES, split="training")


def test_leaving_the_split_out_of_a_divided_folder_is_refused_with_them(tmp_path):
    write_mask_folder(tmp_path / "val", num_images=1)
    with pytest.raises(DataError, match=r"holds the splits val; .*name one split"):
        MaskFolder(tmp_path, num_classes=NUM_CLASSES)


def test_a_split_of_an_undivided_folder_is_refused(root):
    with pytest.raises(DataError, match=r"no splits here, but split='val' was asked for"):
        MaskFolder(root, num_classes=NUM_CLASSES, split="val")


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_images_and_masks_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"no images/ here; expected images/ and masks/"):
        MaskFolder(tmp_path / name, num_classes=2)


def test_an_images_folder_without_images_is_refused(tmp_path):
    write_mask_folder(tmp_path, num_images=0)
    with pytest.raises(DataError, match=r"images: no image in this folder"):
        MaskFolder(tmp_path, num_classes=2)


def test_a_missing_masks_folder_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match=r"masks: No such file or directory"):
        MaskFolder(tmp_path, num_classes=2)


def test_missing_masks_are_counted_and_the_first_is_named(root):
    (root / "masks" / "0001.png").unlink()
    (root / "masks" / "0002.png").unlink()
    with pytest.raises(DataError, match=r"2 of 3 images have no mask here.*first being '0001.png'"):
        MaskFolder(root, num_classes=NUM_CLASSES)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_two_files_of_one_stem_are_refused(root, folder):
    Image.new("L", (30, 20)).save(root / folder / "0001.bmp")
    with pytest.raises(DataError, match=rf"{folder}: '0001.bmp' and '0001.png' share the stem"):
        MaskFolder(root, num_classes=NUM_CLASSES)


def test_unequal_sizes_are_refused_with_both(root):
    put_mask(root, np.ones((20, 31)))
    dataset = MaskFolder(root, num_classes=NUM_CLASSES)
    for read in (dataset.__getitem__, dataset.rgb8_and_mask):
        with pytest.raises(DataError, match=r"0001.png: \(20, 31\) but its image is \(20, 30\)"):
            read(1)


def test_a_photo_that_exif_turns_does_not_fit_a_mask_of_the_unturned_one(root):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (30, 20)).save(root / "images" / "0001.png", exif=exif)
    with pytest.raises(DataError, match=r"make the mask on the upright image"):
        MaskFolder(root, num_classes=NUM_CLASSES)[1]


@pytest.mark.parametrize("value", [4, 254])
def test_a_class_out_of_range_is_refused_with_file_and_value(root, value):
    mask = np.ones((20, 30))
    mask[7, 8] = value
    put_mask(root, mask)
    with pytest.raises(DataError, match=rf"0001.png: holds class {value}; .*num_classes=4"):
        MaskFolder(root, num_classes=NUM_CLASSES)[1]


def test_a_negative_class_is_refused(root):
    Image.fromarray(np.full((20, 30), -1, dtype=np.int32)).save(root / "masks" / "0001.tif")
    (root / "masks" / "0001.png").unlink()
    with pytest.raises(DataError, match="holds class -1"):
        MaskFolder(root, num_classes=NUM_CLASSES)[1]


def test_pixels_are_read_on_access_only(root):
    (root / "images" / "0002.png").write_text("not an image")
    dataset = MaskFolder(root, num_classes=NUM_CLASSES)
    assert dataset[0].name == "0000"
    with pytest.raises(DataError, match=r"0002.png: not an image"):
        dataset[2]


@pytest.mark.parametrize("num_classes", [0, 256])
def test_a_number_of_classes_that_meets_255_is_refused(root, num_classes):
    with pytest.raises(DataError, match="expected 1 to 255"):
        MaskFolder(root, num_classes=num_classes)


def black_and_white(root):
    """Every mask made {0, 255}."""
    for path in (root / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        put_mask(root, (mask > 0) * 255, path.name)


def test_masks_that_mean_255_as_foreground_are_refused_with_the_layout_to_use(root):
    black_and_white(root)
    with pytest.raises(DataError, match=r"only 0 and 255; .*layout 'binary_folder'"):
        MaskFolder(root, num_classes=2)


def test_of_several_classes_one_among_masks_of_0_and_255_shows_that_255_is_unlabelled(root):
    black_and_white(root)
    put_mask(root, np.ones((20, 30)), "0002.png")
    dataset = MaskFolder(root, num_classes=3)
    assert set(dataset[0].mask.unique().tolist()) == {0, 255}


def test_masks_of_background_alone_are_no_mistake(root):
    for index in range(3):
        put_mask(root, np.zeros((20, 30)), f"{index:04}.png")
    assert MaskFolder(root, num_classes=2)[0].mask.max() == 0


def test_binary_folder_takes_255_as_foreground(root):
    black_and_white(root)
    dataset = BinaryFolder(root)
    assert dataset.num_classes == 2
    for index in range(3):
        _, mask = draw_shapes(index, size=(20, 30))
        assert torch.equal(dataset[index].mask, torch.from_numpy(mask > 0).long())


def test_binary_folder_takes_1_as_foreground_too(root):
    put_mask(root, np.eye(20, 30))
    assert torch.equal(BinaryFolder(root)[1].mask, torch.eye(20, 30, dtype=torch.int64))


def test_binary_folder_refuses_more_values(root):
    put_mask(root, [[0, 1, 255]])
    with pytest.raises(DataError, match=r"0001.png: holds the values \[0, 1, 255\]; .*mask_folder"):
        BinaryFolder(root)[1]


@pytest.mark.parametrize("place", ["", "val"])
def test_a_list_of_classes_names_and_counts_them(tmp_path, place):
    write_mask_folder(tmp_path / "val", num_images=1)
    (tmp_path / place / "classes.txt").write_text("\n".join(SHAPE_CLASSES))
    samples = MaskFolder(tmp_path, split="val")
    assert samples.class_names == SHAPE_CLASSES
    assert samples.num_classes == len(SHAPE_CLASSES)


def test_a_value_that_is_no_class_is_given_with_the_error(root):
    mask = np.zeros((20, 30))
    mask[0, :4] = (9, 7, 255, 7)
    put_mask(root, mask)
    with pytest.raises(MaskValueError) as error:
        MaskFolder(root, num_classes=4).rgb8_and_mask(1)
    assert error.value.values == (7, 9)


def test_a_broken_mask_does_not_keep_the_folder_from_being_opened(root):
    (root / "masks" / "0000.png").write_bytes(b"not a picture")
    dataset = MaskFolder(root, num_classes=NUM_CLASSES)
    assert dataset[1].name == "0001"
    with pytest.raises(DataError, match=r"0000.png: not an image"):
        dataset[0]


def people(tmp_path, masks, *, palettes=(), name="{}.png"):
    """Photos of 8x8 with these masks."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    for index, values in enumerate(masks):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / f"{index}.jpg")
        mask = Image.fromarray(np.asarray(values, np.uint8))
        if palettes:
            mask = mask.convert("P")
            mask.putdata(np.asarray(values).ravel().tolist())
            mask.putpalette([0, 0, 0, *palettes[index]])
        mask.save(tmp_path / "masks" / name.format(index))
    return tmp_path


ONE = np.pad(np.ones((4, 4), int), 2)


def test_255_among_ones_is_foreground_and_refused(tmp_path):
    root = people(tmp_path, [ONE, 255 * ONE, ONE])
    with pytest.raises(DataError, match=r"0 and 255 in some \(1\.png\) and 1 in others"):
        MaskFolder(root, num_classes=2)


def test_255_is_unlabelled_where_a_mask_holds_both(tmp_path):
    both = ONE.copy()
    both[0] = 255
    root = people(tmp_path, [both, 255 * ONE, ONE])
    assert len(MaskFolder(root, num_classes=2)) == 3


def test_an_index_of_two_colours_is_refused(tmp_path):
    red, green = (255, 0, 0), (0, 255, 0)
    same = MaskFolder(people(tmp_path / "a", [ONE, ONE], palettes=[red, red]), num_classes=2)
    assert int(same[1].mask.sum()) == 16
    other = MaskFolder(people(tmp_path / "b", [ONE, ONE], palettes=[red, green]), num_classes=2)
    assert int(other[0].mask.sum()) == 16
    with pytest.raises(DataError, match=r"index 1 has the colour \(0, 255, 0\), and in 0\.png"):
        other.rgb8_and_mask(1)


@pytest.mark.parametrize("name", ["{}_mask.png", "{}_GT.png", "{}.jpg.png", "{}-seg.png"])
def test_masks_pair_by_what_people_add_to_names(name, tmp_path):
    assert MaskFolder(people(tmp_path, [ONE, ONE], name=name), num_classes=2).names == ("0", "1")


def test_masks_that_follow_no_one_habit_are_refused(tmp_path):
    root = people(tmp_path, [ONE, ONE], name="{}_mask.png")
    (root / "masks" / "1_mask.png").rename(root / "masks" / "1_gt.png")
    with pytest.raises(DataError, match="have no mask here"):
        MaskFolder(root, num_classes=2)


def test_pictures_that_are_not_read_are_named(tmp_path):
    root = people(tmp_path, [ONE])
    for name in ("b.psd", "c.dng", "d"):
        (root / "images" / name).write_bytes(b"x")
    report = check_layout(MaskFolder(root, num_classes=2))
    (left,) = [problem for problem in report.warnings if problem.kind == "left_out"]
    assert left.names == ("b.psd", "c.dng", "d")


def put_turned(root, name, orientation, size, *, mask_size):
    """A photo that its EXIF turns, and a mask of that size."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", size[::-1]).save(root / f"images/{name}.jpg", exif=exif)
    Image.new("L", mask_size[::-1]).save(root / f"masks/{name}.png")


@pytest.mark.parametrize(
    ("orientation", "size"), [(2, (20, 30)), (3, (20, 30)), (4, (20, 30)), (6, (20, 20))]
)
def test_a_turned_photo_whose_mask_may_lie_otherwise_is_refused(root, orientation, size):
    put_turned(root, "turned", orientation, size, mask_size=size)
    data = MaskFolder(root, num_classes=NUM_CLASSES)
    with pytest.raises(DataError, match=rf"EXIF orientation \({orientation}\)"):
        data.rgb8_and_mask(data.names.index("turned"))


def test_a_photo_on_its_side_with_a_standing_mask_shows_that_masks_are_upright(root):
    put_turned(root, "turned", 3, (20, 30), mask_size=(20, 30))
    put_turned(root, "side", 6, (20, 30), mask_size=(30, 20))
    data = MaskFolder(root, num_classes=NUM_CLASSES)
    for name, size in (("turned", (20, 30)), ("side", (30, 20))):
        rgb, mask = data.rgb8_and_mask(data.names.index(name))
        assert rgb.shape[:2] == size == mask.shape
