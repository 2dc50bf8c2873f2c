"""TIFF of any number of channels: what tifffile wrote comes back, scaled as it says."""

import numpy as np
import pytest

from atrous.data import read_image, read_rgb8
from atrous.data.photos.bands import read_bands
from atrous.errors import DataError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")

rng = np.random.default_rng(0)
UNIT = rng.random((9, 14, 16)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_come_back(tmp_path, channels, dtype, planar):
    most = 1 if dtype.startswith("float") else np.iinfo(dtype).max
    values = (UNIT[..., :channels] * most).astype(dtype)
    stored = np.moveaxis(values, -1, 0) if planar == "separate" else values
    if channels == 1:
        stored = values[..., 0]
    path = tmp_path / "a.tif"
    options = {} if channels == 1 else {"planarconfig": planar}
    tifffile.imwrite(path, stored, photometric="minisblack", metadata=None, **options)
    found = read_bands(path)
    assert found.dtype == np.float32
    assert found.shape == values.shape
    assert np.allclose(found, values / most, atol=1e-7)


def test_white_may_be_zero(tmp_path):
    values = (UNIT[..., 0] * 65535).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert np.allclose(read_bands(tmp_path / "a.tif")[..., 0], 1 - values / 65535, atol=1e-6)


@pytest.mark.parametrize("values", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(tmp_path, values):
    array = UNIT[..., :3].copy()
    array[0, 0, 0] = values
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    with pytest.raises(DataError, match="NaN or infinite"):
        read_bands(tmp_path / "a.tif")
    with pytest.raises(DataError, match="NaN or infinite"):
        read_rgb8(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int8", "complex64"])
def test_numbers_without_a_white_are_refused(tmp_path, dtype):
    tifffile.imwrite(
        tmp_path / "a.tif",
        UNIT[..., :5].astype(dtype),
        photometric="minisblack",
        planarconfig="contig",
    )
    with pytest.raises(DataError, match="values of type"):
        read_bands(tmp_path / "a.tif")


def test_size_is_checked_before_decoding(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", UNIT, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match="max_pixels"):
        read_bands(tmp_path / "a.tif", max_pixels=UNIT.size - 1)


def test_rgb_of_floats_is_a_picture(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", UNIT[..., :3], photometric="rgb")
    assert np.array_equal(read_rgb8(tmp_path / "a.tif"), np.rint(UNIT[..., :3] * 255))
    found = read_image(tmp_path / "a.tif").permute(1, 2, 0).numpy()
    assert np.array_equal(found, UNIT[..., :3])


def test_rgb_of_floats_beyond_white_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", 255 * UNIT[..., :3], photometric="rgb")
    with pytest.raises(DataError, match=r"expected \[0, 1\]"):
        read_rgb8(tmp_path / "a.tif")


def test_more_channels_are_no_picture_and_are_named(tmp_path):
    values = (UNIT[..., :7] * 65535).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"7 channels of 16-bit integers, not compressed"):
        read_rgb8(tmp_path / "a.tif")
