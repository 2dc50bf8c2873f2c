"""Scans from files: channels told by names, missing ones named or zero."""

import numpy as np
import pytest

from atrous.data.volumes.scans import list_scans, read_scan, volume_files
from atrous.errors import DataError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

CHANNELS = ("flair", "t1ce")


def write(folder, *names, shape=(2, 3, 4)):
    folder.mkdir(exist_ok=True, parents=True)
    for value, name in enumerate(names, 1):
        image = nibabel.Nifti1Image(np.full(shape, value, np.int16), np.eye(4))
        nibabel.save(image, folder / f"{name}.nii.gz")


@pytest.mark.parametrize(
    ("names", "scan"),
    [
        (("case_flair", "case_t1ce"), "case"),
        (("case-t2f", "case-t1c"), "case"),
        (("case_0000", "case_0001"), "case"),
        (("t2f", "t1c"), "patient"),
    ],
)
def test_files_that_differ_in_the_channel_alone_are_one_scan(names, scan, tmp_path):
    write(tmp_path / "patient", *names)
    write(tmp_path / "patient", "case_seg")
    (found,) = list_scans(volume_files([tmp_path]), CHANNELS)
    assert found.name == scan
    assert read_scan(found).array[:, 0, 0, 0].tolist() == [1, 2]


def test_a_missing_channel_is_named_or_zero(tmp_path):
    write(tmp_path / "patient", "case_t1ce")
    files = volume_files([tmp_path / "patient"])
    with pytest.raises(DataError, match=r"'case' in .* has no flair; .* --allow-missing"):
        list_scans(files, CHANNELS)
    (found,) = list_scans(files, CHANNELS, allow_missing=True)
    assert read_scan(found).array[:, 0, 0, 0].tolist() == [0, 1]


def test_a_file_of_all_channels_is_a_scan_and_others_are_none(tmp_path):
    write(tmp_path / "a", "case", shape=(2, 3, 4, 2))
    (found,) = list_scans(volume_files([tmp_path / "a"]), CHANNELS)
    assert found.files == (tmp_path / "a" / "case.nii.gz",)
    write(tmp_path / "b", "adc")
    with pytest.raises(DataError, match="None of the 1 volumes is a scan of flair, t1ce"):
        list_scans(volume_files([tmp_path / "b"]), CHANNELS)
