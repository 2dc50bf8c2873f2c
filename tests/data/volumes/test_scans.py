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
    (found,) = list_scans(volume_files([tmp_path]), CHANNELS).scans
    assert found.name == scan
    assert read_scan(found).array[:, 0, 0, 0].tolist() == [1, 2]


def test_a_missing_channel_is_named_or_zero(tmp_path):
    write(tmp_path / "patient", "case_t1ce")
    files = volume_files([tmp_path / "patient"])
    with pytest.raises(DataError, match=r"'case' in .* has no flair; .* --allow-missing"):
        list_scans(files, CHANNELS)
    (found,) = list_scans(files, CHANNELS, allow_missing=True).scans
    assert read_scan(found).array[:, 0, 0, 0].tolist() == [0, 1]


def test_a_file_of_all_channels_is_a_scan_and_others_are_none(tmp_path):
    write(tmp_path / "a", "case", shape=(2, 3, 4, 2))
    (found,) = list_scans(volume_files([tmp_path / "a"]), CHANNELS).scans
    assert found.files == (tmp_path / "a" / "case.nii.gz",)
    write(tmp_path / "b", "adc")
    with pytest.raises(DataError, match="its name says none of flair, t1ce; expected a scan"):
        list_scans(volume_files([tmp_path / "b"]), CHANNELS)


def test_two_names_of_one_patient_are_one_scan_whatever_their_habits(tmp_path):
    names = ("p_T1-Gd", "p_T2_FLAIR", "p_t1_brain_mask", "p_flair_seg", "p_adc")
    write(tmp_path / "patient", *names)
    found = list_scans(volume_files([tmp_path]), CHANNELS)
    assert [scan.name for scan in found.scans] == ["p"]
    assert read_scan(found.scans[0]).array[:, 0, 0, 0].tolist() == [2, 1]
    assert sorted(path.name for path in found.left_out) == sorted(
        f"{name}.nii.gz" for name in names[2:]
    )


def test_patients_that_are_numbered_are_not_channels_of_one(tmp_path):
    write(tmp_path, "patient_0000", "patient_0001")
    with pytest.raises(DataError, match="may be the channels of one scan or the scans of 2"):
        list_scans(volume_files([tmp_path]), CHANNELS)


def test_a_scan_with_more_numbers_than_the_network_has_channels_is_refused(tmp_path):
    write(tmp_path, "p7_0000", "p7_0001", "p7_0002")
    with pytest.raises(DataError, match=r"p7_0002.* says channel 2, and the network has 2"):
        list_scans(volume_files([tmp_path]), CHANNELS)


def test_a_name_of_two_modalities_is_refused(tmp_path):
    write(tmp_path, "p_t1ce", "p_t1_flair")
    with pytest.raises(DataError, match=r"p_t1_flair.* says t1 and flair"):
        list_scans(volume_files([tmp_path]), CHANNELS)


def test_a_network_of_one_modality_leaves_others_out_unless_they_are_named(tmp_path):
    write(tmp_path, "p_t1", "p_t2", "p")
    files = volume_files([tmp_path])
    found = list_scans(files, ("T1",))
    assert [scan.name for scan in found.scans] == ["p_t1"]
    assert {path.name for path in found.left_out} == {"p.nii.gz", "p_t2.nii.gz"}
    assert [scan.name for scan in list_scans(files, ("MRI",)).scans] == ["p", "p_t1", "p_t2"]
    assert len(list_scans(files, ("T1",), named=files).scans) == len(files)


def test_one_broken_header_leaves_the_other_scans(tmp_path):
    write(tmp_path, "p_flair", "p_t1ce")
    (tmp_path / "q_flair.nii.gz").write_bytes(b"\x1f\x8b" + b"x" * 20)
    found = list_scans(volume_files([tmp_path]), CHANNELS)
    assert [scan.name for scan in found.scans] == ["p"]
    assert [path.name for path in found.errors] == ["q_flair.nii.gz"]


def test_a_file_of_two_channels_is_not_one_of_them(tmp_path):
    write(tmp_path, "p_flair")
    write(tmp_path, "p_t1ce", shape=(2, 3, 4, 3))
    with pytest.raises(DataError, match="3 channels, and its name says that it is t1ce"):
        list_scans([tmp_path / "p_t1ce.nii.gz"], CHANNELS, allow_missing=True)


def test_of_a_bids_data_set_the_subjects_scans_are_taken(tmp_path):
    write(tmp_path / "sub-01" / "ses-1" / "anat", "sub-01_ses-1_FLAIR", "sub-01_ses-1_ce-gd_T1w")
    write(tmp_path / "sub-02" / "anat", "sub-02_FLAIR", "sub-02_ce-gd_T1w", "sub-02_T2w")
    write(tmp_path / "derivatives" / "x" / "sub-01" / "anat", "sub-01_FLAIR", "sub-01_ce-gd_T1w")
    found = list_scans(volume_files([tmp_path]), CHANNELS)
    assert sorted(scan.name for scan in found.scans) == ["sub-01_ses-1", "sub-02"]


def test_a_scan_with_a_bad_file_is_not_run_without_it(tmp_path):
    write(tmp_path, "p_flair", "q_flair", "q_t1ce")
    write(tmp_path, "p_t1ce", shape=(2, 3, 4, 3))
    found = list_scans(volume_files([tmp_path]), CHANNELS, allow_missing=True)
    assert [scan.name for scan in found.scans] == ["q"]
    assert [path.name for path in found.errors] == ["p_t1ce.nii.gz"]


def test_a_scan_with_a_broken_header_is_not_run_without_that_channel(tmp_path):
    write(tmp_path, "p_flair", "q_flair", "q_t1ce")
    (tmp_path / "p_t1ce.nii.gz").write_bytes(b"\x1f\x8b" + b"x" * 20)
    found = list_scans(volume_files([tmp_path]), CHANNELS, allow_missing=True)
    assert [scan.name for scan in found.scans] == ["q"]
    assert [path.name for path in found.errors] == ["p_t1ce.nii.gz"]
