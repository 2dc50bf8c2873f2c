"""Label volumes as files: the scan's own order of axes, affine, codes and version, to the bit."""

import numpy as np
import pytest
import torch

from atrous.errors import DataError, ShapeError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

from atrous.data.volumes.read import read_geometry, read_mask_volume  # noqa: E402
from atrous.data.volumes.write import write_mask_volume  # noqa: E402

PLACE = (
    *("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


def random_affine(rng):
    """Any axes in any direction, oblique by up to 40 degrees, of any spacing."""
    turn = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], size=3)
    for plane in ((0, 1), (1, 2), (0, 2)):
        angle = rng.uniform(-0.7, 0.7)
        small = np.eye(3)
        small[np.ix_(plane, plane)] = [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
        turn = small @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn * rng.uniform(0.3, 6, size=3)
    affine[:3, 3] = rng.uniform(-200, 200, size=3)
    return affine


def scan(path, rng, kind, shape=(7, 5, 6)):
    affine = random_affine(rng)
    image = kind(rng.normal(size=shape).astype(np.float32), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code=int(rng.integers(0, 5)))
    image.set_qform(affine, code=int(rng.integers(1, 5)))
    nibabel.save(image, path)
    return nibabel.load(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_scans_place_is_kept_to_the_bit_and_labels_stay_where_they_were(kind, suffix, tmp_path):
    rng = np.random.default_rng(0)
    for index in range(25):
        image = scan(tmp_path / f"scan{index}{suffix}", rng, kind)
        geometry = read_geometry(tmp_path / f"scan{index}{suffix}")
        labels = rng.integers(0, 256, size=geometry.size)
        path = tmp_path / f"labels{suffix}"
        write_mask_volume(path, torch.from_numpy(labels), geometry)
        written = nibabel.load(path)
        assert type(written) is type(image)
        assert np.array_equal(written.affine, image.affine)
        assert written.shape == image.shape
        assert written.get_data_dtype() == np.uint8
        for field in PLACE:
            assert np.array_equal(written.header[field], image.header[field]), field
        # nibabel's own view of the places: each label's voxel lies where ours said it does.
        there = np.argwhere(labels == labels[2, 1, 3])
        world = there @ geometry.canonical_affine[:3, :3].T + geometry.canonical_affine[:3, 3]
        inverse = np.linalg.inv(written.affine)
        back = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        assert (np.asarray(written.dataobj)[tuple(back.T)] == labels[2, 1, 3]).all()
        assert np.array_equal(read_mask_volume(path).numpy(), labels)


def test_the_bytes_are_the_same_on_every_run(tmp_path):
    scan(tmp_path / "scan.nii.gz", np.random.default_rng(1), nibabel.Nifti1Image)
    geometry = read_geometry(tmp_path / "scan.nii.gz")
    labels = np.random.default_rng(2).integers(0, 3, size=geometry.size)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask_volume(tmp_path / name, labels, geometry)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_labels_of_a_4d_scan_have_three_dimensions(tmp_path):
    scan(tmp_path / "scan.nii", np.random.default_rng(1), nibabel.Nifti1Image, (7, 5, 6, 3))
    geometry = read_geometry(tmp_path / "scan.nii")
    write_mask_volume(tmp_path / "labels.nii", np.ones(geometry.size, np.int64), geometry)
    assert nibabel.load(tmp_path / "labels.nii").shape == (7, 5, 6)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    scan(tmp_path / "scan.nii", np.random.default_rng(1), nibabel.Nifti1Image)
    geometry = read_geometry(tmp_path / "scan.nii")
    labels = np.zeros(geometry.size, np.int64)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="expected a name that ends in"):
        write_mask_volume(tmp_path / "labels.png", labels, geometry)
    with pytest.raises(DataError, match="256 to 256 do not fit"):
        write_mask_volume(tmp_path / "labels.nii", labels + 256, geometry)
    with pytest.raises(ShapeError, match="expected one value a voxel"):
        write_mask_volume(tmp_path / "labels.nii", labels[1:], geometry)
    with pytest.raises(DataError, match="could not be written"):
        write_mask_volume(tmp_path / "none" / "labels.nii", labels * 0, geometry)
    assert sorted(tmp_path.iterdir()) == before
