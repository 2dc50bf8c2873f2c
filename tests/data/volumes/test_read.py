"""Volumes: one orientation whatever the file's, the way back, and every bad file in one line."""

import gzip
import itertools

import numpy as np
import pytest
import torch

from atrous.data.volumes.geometry import from_canonical, to_canonical
from atrous.errors import DataError, ShapeError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

from atrous.data.volumes.read import (  # noqa: E402
    is_volume,
    read_geometry,
    read_mask_volume,
    read_volume,
)

SHAPE = (5, 6, 7)
CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*axes)
]


def values_of(shape=SHAPE):
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def saved(path, values, affine=None, kind=nibabel.Nifti1Image):
    nibabel.save(kind(values, np.eye(4) if affine is None else affine), path)
    return path


def affine_of(codes):
    """By the letters' meaning: each axis of the file steps one millimetre that way."""
    affine = np.eye(4)
    for axis, letter in enumerate(codes):
        world = ["LR", "PA", "IS"].index(
            next(pair for pair in ("LR", "PA", "IS") if letter in pair)
        )
        affine[:3, axis] = 0
        affine[world, axis] = 1 if letter in "RAS" else -1
    affine[:3, 3] = (-3, 20, 7)
    return affine


def edited(path, **fields):
    """The same file with fields of its header overwritten, unchecked."""
    raw = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    for field, value in fields.items():
        header[field] = value
    raw[:348] = header.binaryblock
    path.write_bytes(bytes(raw))
    return path


@pytest.fixture
def plain(tmp_path):
    return saved(tmp_path / "scan.nii", values_of())


@pytest.mark.parametrize("codes", CODES)
def test_every_orientation_becomes_the_one_that_nibabel_calls_closest_canonical(codes, tmp_path):
    affine = affine_of(codes) @ np.diag([0.5, 1.25, 3.0, 1.0])
    path = saved(tmp_path / "scan.nii.gz", values_of(), affine)
    volume = read_volume(path)
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    assert np.array_equal(volume.array[0].transpose(2, 1, 0), canonical.get_fdata())
    assert volume.spacing == pytest.approx(canonical.header.get_zooms()[::-1])
    assert volume.geometry.orientation == codes
    reordered = canonical.affine[:, [2, 1, 0, 3]]  # nibabel's columns are W, H, D
    assert np.allclose(volume.geometry.canonical_affine, reordered)


@pytest.mark.parametrize("codes", CODES)
def test_the_way_back_undoes_the_way_in(codes, tmp_path):
    affine = affine_of(codes)
    geometry = read_geometry(saved(tmp_path / "scan.nii", values_of(), affine))
    values = values_of()
    assert np.array_equal(from_canonical(to_canonical(values, geometry), geometry), values)


def test_voxels_of_another_number_have_no_way_back(plain):
    with pytest.raises(ShapeError, match=r"size \(5, 6, 7\).* has \(7, 6, 5\)"):
        from_canonical(np.zeros(SHAPE), read_geometry(plain))


def test_channels_of_a_4d_file_and_of_several_files_come_in_order(tmp_path):
    four = saved(tmp_path / "four.nii.gz", values_of((*SHAPE, 3)))
    one = saved(tmp_path / "one.nii", values_of() + 1000)
    volume = read_volume([four, one])
    assert volume.array.shape == (4, 7, 6, 5)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array[2], values_of((*SHAPE, 3))[..., 2].transpose(2, 1, 0))
    assert np.array_equal(volume.array[3], values_of().transpose(2, 1, 0) + 1000)


def test_nifti_2_big_endian_and_scaled_files_are_read_alike(tmp_path):
    expected = values_of().transpose(2, 1, 0)
    path = saved(tmp_path / "two.nii", values_of(), kind=nibabel.Nifti2Image)
    assert np.array_equal(read_volume(path).array[0], expected)
    assert read_geometry(path).version == 2
    big = nibabel.Nifti1Image(values_of().astype(">i2"), np.eye(4), nibabel.Nifti1Header(None, ">"))
    nibabel.save(big, tmp_path / "big.nii")
    assert np.array_equal(read_volume(tmp_path / "big.nii").array[0], expected)
    scaled = edited(saved(tmp_path / "scaled.nii", values_of()), scl_slope=0.5, scl_inter=-3)
    assert np.allclose(read_volume(scaled).array[0], expected * 0.5 - 3)


def test_spacing_is_in_millimetres_whatever_the_unit(plain):
    assert read_volume(edited(plain, xyzt_units=1)).spacing == pytest.approx((1000, 1000, 1000))
    assert read_volume(edited(plain, xyzt_units=3)).spacing == pytest.approx((1e-3, 1e-3, 1e-3))


def test_one_grid_in_two_orders_of_axes_is_one_grid(tmp_path):
    first = saved(tmp_path / "a.nii", values_of())
    turned = nibabel.load(first).as_reoriented([[1, -1], [2, 1], [0, -1]])
    nibabel.save(turned, tmp_path / "b.nii")
    volume = read_volume([first, tmp_path / "b.nii"])
    assert np.array_equal(volume.array[0], volume.array[1])


def test_labels_are_int64_and_floats_that_are_integers_count(tmp_path):
    path = saved(tmp_path / "labels.nii.gz", values_of().astype(np.float32))
    labels = read_mask_volume(path)
    assert labels.dtype == torch.int64
    assert labels.is_contiguous()
    assert np.array_equal(labels.numpy(), values_of().transpose(2, 1, 0))


def test_is_volume_goes_by_content_or_name(plain, tmp_path):
    renamed = plain.rename(tmp_path / "scan.bin")
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(renamed.read_bytes()))
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"")
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    assert [is_volume(path) for path in (renamed, packed, broken)] == [True] * 3
    assert [is_volume(path) for path in (photo, tmp_path, tmp_path / "none.nii")] == [False] * 3


BAD_HEADERS = [
    ({"dim": [2, 5, 6, 1, 1, 1, 1, 1]}, "2 dimensions"),
    ({"dim": [5, 5, 6, 7, 2, 2, 1, 1]}, "5 dimensions"),
    ({"dim": [3, 5, 0, 7, 1, 1, 1, 1]}, "5 x 0 x 7 voxels"),
    ({"dim": [3, 3000, 3000, 2000, 1, 1, 1, 1]}, "18,000,000,000 voxels"),
    ({"dim": [3, 50, 60, 70, 1, 1, 1, 1]}, "772 bytes cannot hold the 420,352"),
    ({"datatype": 128, "bitpix": 24}, "voxels of kind RGB;"),
    ({"datatype": 32, "bitpix": 64}, "voxels of kind complex64"),
    ({"datatype": 77}, "datatype code 77"),
    ({"pixdim": [1, 1, 0, 1, 0, 0, 0, 0]}, "1 x 0 x 1 as the spacing"),
    ({"pixdim": [1, 1, -2, 1, 0, 0, 0, 0]}, "1 x -2 x 1 as the spacing"),
    ({"pixdim": [1, 1, np.nan, 1, 0, 0, 0, 0]}, "1 x nan x 1 as the spacing"),
    ({"srow_x": [0, 0, 0, 0]}, "fill no space"),
    ({"srow_y": [0, np.inf, 0, 0]}, "fill no space"),
    ({"sform_code": 0, "qform_code": 1, "quatern_b": 3}, "no place in the world"),
    ({"scl_slope": 2, "scl_inter": np.inf}, "a finite shift"),
    ({"magic": b"ni1"}, r"a pair of \.hdr and \.img"),
    ({"magic": b"abc"}, "do not begin as NIfTI does"),
]


@pytest.mark.parametrize(("fields", "found"), BAD_HEADERS)
def test_a_bad_header_is_refused_in_one_line(fields, found, plain):
    with pytest.raises(DataError, match=found) as error:
        read_volume(edited(plain, **fields))
    assert "; expected " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_small_packed_file_that_asks_for_gigabytes_is_refused_before_they_are_taken(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((1200, 1200, 1200))
    header.set_data_dtype(np.float32)
    header["sform_code"], header["magic"] = 1, b"n+1"
    header["srow_x"], header["srow_y"], header["srow_z"] = np.eye(4)[:3]
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    with pytest.raises(DataError, match=r"packed, cannot hold the 6,912,000,352"):
        read_volume(path)


def test_files_that_end_too_soon_are_refused(tmp_path):
    noise = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    packed = saved(tmp_path / "scan.nii.gz", noise)
    whole = packed.read_bytes()
    for length in (0, 1, 100, 1000, len(whole) // 2):
        packed.write_bytes(whole[:length])
        with pytest.raises(DataError, match="expected a"):
            read_volume(packed)
    packed.write_bytes(whole[:2000] + bytes(50) + whole[2050:])
    with pytest.raises(DataError, match="broken or cut off"):
        read_volume(packed)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(value, tmp_path):
    values = np.ones(SHAPE, np.float32)
    values[1, 2, 3] = values[0, 0, 0] = value
    with pytest.raises(DataError, match="2 voxels are NaN or infinite"):
        read_volume(saved(tmp_path / "scan.nii.gz", values))


def test_modalities_of_different_grids_are_refused(tmp_path):
    first = saved(tmp_path / "t1.nii", values_of())
    larger = saved(tmp_path / "t2.nii", values_of((5, 6, 8)))
    with pytest.raises(DataError, match=r"t2\.nii: 8 x 6 x 5 voxels .* t1\.nii has 7 x 6 x 5"):
        read_volume([first, larger])
    shifted = np.eye(4)
    shifted[0, 3] = 4
    away = saved(tmp_path / "t3.nii", values_of(), shifted)
    with pytest.raises(DataError, match=r"up to 4 mm away from t1\.nii"):
        read_volume([first, away])


def test_labels_that_are_none_are_refused(tmp_path, plain):
    labels = np.zeros(SHAPE, np.float32)
    labels[0, 0, 0] = 0.9999
    with pytest.raises(DataError, match=r"1 labels are no integers, such as 0\.9999"):
        read_mask_volume(saved(tmp_path / "a.nii", labels))
    with pytest.raises(DataError, match="holds the label -1"):
        read_mask_volume(saved(tmp_path / "b.nii", values_of() - 1))
    with pytest.raises(DataError, match="3 values a voxel"):
        read_mask_volume(saved(tmp_path / "c.nii", values_of((*SHAPE, 3))))
    other = saved(tmp_path / "d.nii", values_of((5, 6, 6)))
    with pytest.raises(DataError, match="6 x 6 x 5 voxels"):
        read_mask_volume(other, like=read_geometry(plain))


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        read_volume(tmp_path / "none.nii")
    with pytest.raises(DataError, match="is a folder"):
        read_volume(tmp_path)
    with pytest.raises(DataError, match="No file was given"):
        read_volume([])


@pytest.mark.real
def test_real_scans_are_read_as_nibabel_reads_them(shared):
    case = shared / "data" / "brain_tumour_4mod" / "BraTS-GLI-00001-000"
    volume = read_volume([case / "t2f.nii.gz", case / "t1c.nii.gz"])
    expected = nibabel.as_closest_canonical(nibabel.load(case / "t1c.nii.gz")).get_fdata()
    assert volume.geometry.orientation == "LPS"
    assert np.array_equal(volume.array[1], expected.transpose(2, 1, 0).astype(np.float32))


@pytest.mark.parametrize(("degrees", "is_read"), [(0.0, True), (0.3, True), (5.0, False)])
def test_axes_that_meet_at_other_than_right_angles_are_refused(degrees, is_read, tmp_path):
    """A tilted gantry makes edges longer by 1 / cos, and so lengths and volumes along them."""
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(degrees))
    path = tmp_path / "tilted.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.int16), affine), path)
    if is_read:
        assert read_volume(path).array.shape == (1, 3, 3, 3)
    else:
        with pytest.raises(DataError, match=r"meet at 85\.0 degrees"):
            read_volume(path)


def test_labels_that_were_stored_as_scaled_integers_mean_the_integers(tmp_path):
    """nibabel stores floats in an integer header by steps of their range over 65,535."""
    labels = np.random.default_rng(0).integers(0, 5, (6, 5, 4))
    image = nibabel.Nifti1Image(labels.astype(np.float32), np.eye(4))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "labels.nii.gz")
    assert 0 < nibabel.load(tmp_path / "labels.nii.gz").dataobj.slope < 1
    found = read_mask_volume(tmp_path / "labels.nii.gz")
    assert found.permute(2, 1, 0).tolist() == labels.tolist()


def test_interpolated_labels_in_scaled_integers_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.linspace(0, 4, 60, dtype=np.float32).reshape(5, 4, 3), np.eye(4))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "labels.nii.gz")
    with pytest.raises(DataError, match="labels are no integers"):
        read_mask_volume(tmp_path / "labels.nii.gz")


def with_header(path, **fields):
    """A sound NIfTI file of 8x8x8 voxels with these fields of its header."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((8, 8, 8))
    header["pixdim"][1:4] = 1
    header["sform_code"] = 1
    for name, row in zip(("srow_x", "srow_y", "srow_z"), np.eye(4), strict=False):
        header[name] = row
    header["vox_offset"] = 352
    for name, value in fields.items():
        header[name] = value
    values = np.arange(512, dtype="<i2").tobytes()
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + values, mtime=0))
    return path


@pytest.mark.parametrize("offset", [np.inf, -np.inf, np.nan, 352.5, -352])
def test_an_offset_that_is_no_place_is_refused(tmp_path, offset):
    with pytest.raises(DataError, match="vox_offset"):
        read_volume(with_header(tmp_path / "a.nii.gz", vox_offset=offset))


@pytest.mark.parametrize(
    ("code", "step"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (4, 1), (7, 1), (64, 1), (66, 1)]
)
def test_units_of_length_are_the_lowest_bits(tmp_path, code, step):
    volume = read_volume(with_header(tmp_path / "a.nii.gz", xyzt_units=code))
    assert volume.spacing == (step, step, step)


def test_a_scan_beyond_the_ceiling_is_refused_before_it_is_unpacked(tmp_path):
    path = with_header(tmp_path / "a.nii.gz")
    assert read_volume(path, max_bytes=512 * 6).array.shape == (1, 8, 8, 8)
    with pytest.raises(DataError, match="GB to read"):
        read_volume(path, max_bytes=512 * 6 - 1)
    with pytest.raises(DataError, match="GB to read"):
        read_mask_volume(path, max_bytes=512 * 17)
