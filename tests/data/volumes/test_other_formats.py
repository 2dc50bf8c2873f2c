"""Formats besides NIfTI: the same voxels at the same places as SimpleITK and nibabel say."""

import locale

import nibabel
import numpy as np
import pytest

from atrous.data.volumes.read import is_volume, read_geometry, read_mask_volume, read_volume
from atrous.data.volumes.scans import list_scans, volume_files
from atrous.errors import DataError

itk = pytest.importorskip("SimpleITK", reason="needs the extra volumes")

VALUES = np.random.default_rng(0).integers(-50, 900, (5, 6, 7)).astype(np.int16)  # z, y, x
TURN = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])


@pytest.fixture
def image():
    """Turned axes, uneven steps, somewhere in the world."""
    found = itk.GetImageFromArray(VALUES)
    found.SetSpacing((0.7, 0.8, 2.5))
    found.SetOrigin((-20.0, 31.0, 7.5))
    found.SetDirection(TURN.ravel().tolist())
    return found


def world_of(image, index):
    """Where SimpleITK says that a voxel (x, y, z) lies, turned from LPS to RAS."""
    return np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr", ".nii.gz"])
def test_voxels_lie_where_simpleitk_says(suffix, image, tmp_path):
    path = tmp_path / f"scan{suffix}"
    itk.WriteImage(image, str(path))
    volume = read_volume(path)
    geometry = read_geometry(path)
    affine = geometry.canonical_affine
    for index in [(0, 0, 0), (6, 5, 4), (3, 1, 2)]:
        world = world_of(image, index)
        d, h, w = np.rint(np.linalg.solve(affine, [*world, 1])[:3]).astype(int)
        assert affine @ (d, h, w, 1) == pytest.approx([*world, 1], abs=1e-4)
        assert volume.array[0, d, h, w] == VALUES[index[::-1]]
    assert sorted(volume.spacing) == pytest.approx([0.7, 0.8, 2.5])


def test_channels_are_the_last_axis_or_the_components(image, tmp_path):
    both = itk.Compose(image, image + 1000)
    itk.WriteImage(both, str(tmp_path / "two.nrrd"))
    array = read_volume(tmp_path / "two.nrrd").array
    assert array.shape[0] == 2
    assert np.array_equal(array[1], array[0] + 1000)


def test_mgh_and_pairs_lie_where_nibabel_says(tmp_path):
    affine = np.array([[-1.0, 0, 0, 10], [0, 0, 1.5, -4], [0, -2, 0, 3], [0, 0, 0, 1]])
    values = VALUES.astype(np.float32)
    nibabel.save(nibabel.MGHImage(values, affine), tmp_path / "a.mgz")
    nibabel.save(nibabel.Nifti1Pair(values, affine), tmp_path / "b.hdr")
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "c.nii")
    wanted = read_volume(tmp_path / "c.nii")
    for name in ("a.mgz", "b.hdr"):
        found = read_volume(tmp_path / name)
        assert np.array_equal(found.array, wanted.array)
        assert found.geometry.canonical_affine == pytest.approx(
            wanted.geometry.canonical_affine, abs=1e-5
        )


def test_analyze_does_not_say_which_side_is_left(tmp_path):
    nibabel.save(nibabel.AnalyzeImage(VALUES, np.eye(4)), tmp_path / "a.hdr")
    with pytest.raises(DataError, match="does not say which side is left"):
        read_volume(tmp_path / "a.hdr")


@pytest.fixture(autouse=True)
def _locale():
    """What writes DICOM leaves another locale behind, and later files would be read as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


def write_series(folder, *, places=range(5), series="1.2.3"):
    """Axial slices 3 mm apart, feet first, their files named in another order."""
    folder.mkdir(exist_ok=True)
    for number, place in enumerate(places):
        plane = itk.GetImageFromArray(VALUES[place % 5][np.newaxis])
        plane.SetSpacing((0.5, 0.6, 3.0))
        plane.SetOrigin((-3.0, 4.0, 100 + 3.0 * place))
        for key, value in {
            "0008|0060": "CT",
            "0020|000e": series,
            "0020|000d": "1.2",
            "0020|0013": str(number),
            "0020|0032": f"-3\\4\\{100 + 3.0 * place}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0008|0018": f"{series}.{number}",
        }.items():
            plane.SetMetaData(key, value)
        writer = itk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{(number * 7) % 10}-{series}.dcm"))
        writer.Execute(plane)


def test_a_folder_of_dicom_slices_is_a_scan(tmp_path):
    write_series(tmp_path / "ct")
    assert is_volume(tmp_path / "ct")
    (scan,) = list_scans(volume_files([tmp_path]), ("CT",)).scans
    assert scan.name == "ct"
    volume = read_volume(scan.files)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "ct")))
    oracle = reader.Execute()
    assert volume.spacing == pytest.approx((3.0, 0.6, 0.5))
    affine = volume.geometry.canonical_affine
    for index in [(0, 0, 0), (6, 5, 4)]:
        d, h, w = np.rint(np.linalg.solve(affine, [*world_of(oracle, index), 1])[:3]).astype(int)
        assert volume.array[0, d, h, w] == oracle[index]


def test_a_missing_slice_is_told(tmp_path):
    write_series(tmp_path / "ct", places=(0, 1, 3, 4))
    with pytest.raises(DataError, match="4 slices that lie 3 to 6 mm apart"):
        read_volume(tmp_path / "ct")


def test_two_series_in_a_folder_and_one_slice_alone_are_told(tmp_path):
    write_series(tmp_path / "ct")
    with pytest.raises(DataError, match="one slice of DICOM; expected the folder"):
        read_volume(next((tmp_path / "ct").iterdir()))
    write_series(tmp_path / "ct", series="1.2.4")
    with pytest.raises(DataError, match="2 series of DICOM slices"):
        read_volume(tmp_path / "ct")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mgz"])
@pytest.mark.parametrize("kept", [0, 400])
def test_files_that_are_cut_off_are_told_in_one_line(kept, suffix, image, tmp_path):
    path = tmp_path / f"scan{suffix}"
    if suffix == ".mgz":
        nibabel.save(nibabel.MGHImage(VALUES.astype(np.float32), np.eye(4)), path)
    else:
        itk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="broken, cut off") as told:
        read_volume(path)
    assert "\n" not in str(told.value)


def test_labels_are_read_from_other_formats(tmp_path):
    labels = (VALUES > 0).astype(np.uint8)
    itk.WriteImage(itk.GetImageFromArray(labels), str(tmp_path / "labels.nrrd"))
    assert int(read_mask_volume(tmp_path / "labels.nrrd").sum()) == int(labels.sum())


def test_a_header_without_spacing_is_refused(tmp_path):
    path = tmp_path / "scan.nrrd"
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nencoding: raw\nendian: little\n\n"
    path.write_bytes(head + VALUES.tobytes())
    with pytest.raises(DataError, match="does not say how far apart voxels lie"):
        read_volume(path)
