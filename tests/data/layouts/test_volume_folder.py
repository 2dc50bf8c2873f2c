"""Folders of volumes: pairing, names of classes and channels, and every broken file by its name."""

import gzip

import numpy as np
import pytest

from atrous.data.catalog import open_layout
from atrous.errors import DataError, UnknownNameError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

SHAPE = (4, 3, 2)


def put(path, values, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def case(root, name, channels=None):
    shape = SHAPE if channels is None else (*SHAPE, channels)
    put(
        root / "images" / f"{name}.nii.gz", np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    )
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 2, 0], labels[3, 0, 1] = 1, 255
    put(root / "labels" / f"{name}.nii.gz", labels)


def opened(root, **options):
    return open_layout("volume_folder", root, **{"num_classes": 2, **options}).require("volumes")


def test_scans_and_labels_pair_by_stem_in_natural_order(tmp_path):
    for name in ("case10", "case9"):
        case(tmp_path, name)
    layout = opened(tmp_path)
    assert layout.names == ("case9", "case10")
    volume, mask = layout.volume_and_mask(0)
    assert volume.array.shape == (1, 2, 3, 4)
    assert (int(mask[0, 2, 1]), int(mask[1, 0, 3]), int((mask == 0).sum())) == (1, 255, 22)
    assert layout[1].image.shape == (1, 2, 3, 4)
    assert [path.name for path in layout.files(1)] == ["case10.nii.gz"] * 2


def test_classes_channels_and_splits_are_those_of_the_folder(tmp_path):
    for split in ("train", "val"):
        case(tmp_path / split, split, channels=2)
    (tmp_path / "classes.txt").write_text("background\nlesion\n")
    (tmp_path / "channels.txt").write_text("t1\nflair\n")
    layout = opened(tmp_path, split="val", num_classes=None)
    assert layout.names == ("val",)
    assert (layout.class_names, layout.channel_names) == (("background", "lesion"), ("t1", "flair"))
    with pytest.raises(UnknownNameError, match="vall"):
        opened(tmp_path, split="vall")
    (tmp_path / "channels.txt").write_text("t1\n")
    with pytest.raises(DataError, match=r"val\.nii\.gz: 2 channels; expected 1: t1"):
        opened(tmp_path, split="val").volume(0)


def test_a_case_without_labels_is_named(tmp_path):
    for name in ("a", "b"):
        case(tmp_path, name)
    (tmp_path / "labels" / "b.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 of 2 scans have no labels here.*'b\.nii\.gz'"):
        opened(tmp_path)


def test_what_is_not_known_is_asked_for(tmp_path):
    case(tmp_path, "a")
    with pytest.raises(DataError, match=r"expected num_classes or a classes\.txt"):
        opened(tmp_path, num_classes=None)
    put(tmp_path / "images" / "a.nii", np.zeros(SHAPE, np.int16))
    with pytest.raises(DataError, match="share a stem"):
        opened(tmp_path)


def cut(path):
    # Noise, so that half of the packed file is far from its end.
    put(path, np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def bomb(path):
    raw = bytearray(gzip.decompress(path.read_bytes()))
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    header["dim"] = [3, 3000, 3000, 1000, 1, 1, 1, 1]
    path.write_bytes(gzip.compress(header.binaryblock + bytes(29)))


def rgb(path):
    put(path, np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])))


BROKEN = {
    "cut off": ("images", cut, "cut off"),
    "a bomb": ("images", bomb, "9,000,000,000 voxels"),
    "rgb": ("images", rgb, "RGB"),
    "2d": ("images", lambda path: put(path, np.zeros((4, 3), np.int16)), "2 dimensions"),
    "5d": ("images", lambda path: put(path, np.zeros((*SHAPE, 2, 2), np.int16)), "5 dimensions"),
    "nan": (
        "images",
        lambda path: put(path, np.full(SHAPE, np.nan, np.float32)),
        "24 voxels are NaN",
    ),
    "no nifti": ("images", lambda path: path.write_bytes(gzip.compress(bytes(999))), "NIfTI"),
    "empty": ("images", lambda path: path.write_bytes(b""), "expected"),
    "not whole": ("labels", lambda path: put(path, np.full(SHAPE, 0.9999, np.float32)), "0.9999"),
    "no class": ("labels", lambda path: put(path, np.full(SHAPE, 7, np.uint8)), "holds class 7"),
    "negative": ("labels", lambda path: put(path, np.full(SHAPE, -1, np.int16)), "label -1"),
    "other size": (
        "labels",
        lambda path: put(path, np.zeros((4, 3, 3), np.uint8)),
        "3 x 3 x 4 voxels",
    ),
    "elsewhere": (
        "labels",
        lambda path: put(path, np.zeros(SHAPE, np.uint8), np.diag([1.0, 1.0, 3.0, 1.0])),
        "mm away",
    ),
    "4d labels": (
        "labels",
        lambda path: put(path, np.zeros((*SHAPE, 2), np.uint8)),
        "2 values a voxel",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_named_in_one_line_when_it_is_read(fault, tmp_path):
    kind, spoil, message = BROKEN[fault]
    case(tmp_path, "good")
    case(tmp_path, "spoilt")
    spoil(tmp_path / kind / "spoilt.nii.gz")
    layout = opened(tmp_path)
    layout.volume_and_mask(0)
    with pytest.raises(DataError) as error:
        layout.volume_and_mask(1)
    text = str(error.value)
    assert message in text
    assert f"{kind}/spoilt.nii.gz" in text
    assert "; expected " in text
    assert "\n" not in text


def test_labels_that_are_whole_but_for_rounding_are_taken(tmp_path):
    case(tmp_path, "a")
    values = np.zeros(SHAPE, np.float32)
    values[1, 2, 0] = 0.999999
    put(tmp_path / "labels" / "a.nii.gz", values)
    assert int(opened(tmp_path).volume_and_mask(0)[1].sum()) == 1
