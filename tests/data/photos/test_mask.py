"""Reading masks: values as the file holds them, and no colours taken for classes."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from atrous.data import read_mask
from atrous.errors import DataError

INDICES = np.random.default_rng(0).integers(0, 12, (9, 14), dtype=np.uint8)
INDICES[0, 0] = 255


def saved(tmp_path, image: Image.Image, name: str = "mask.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def same(mask: torch.Tensor, values: np.ndarray) -> bool:
    return mask.dtype == torch.int64 and np.array_equal(mask.numpy(), values)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.bmp", "mask.gif"])
def test_grey_values_are_classes(tmp_path, name):
    assert same(read_mask(saved(tmp_path, Image.fromarray(INDICES), name)), INDICES)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.bmp"])
def test_palette_indices_are_classes_and_their_colours_are_not(tmp_path, name):
    image = Image.fromarray(INDICES).convert("P")
    image.putpalette([7, 70, 140] * 256)
    assert same(read_mask(saved(tmp_path, image, name)), INDICES)


def test_a_transparent_palette_index_is_a_class_too(tmp_path):
    image = Image.fromarray(INDICES).convert("P")
    image.putpalette(list(range(256)) * 3)
    assert same(read_mask(saved(tmp_path, image, transparency=0)), INDICES)


@pytest.mark.parametrize("num_values", [2, 4, 16])
def test_palettes_of_few_bits_keep_their_indices(tmp_path, num_values):
    indices = INDICES % num_values
    image = Image.fromarray(indices).convert("P")
    image.putpalette([5, 50, 90] * num_values)
    path = saved(tmp_path, image, bits={2: 1, 4: 2, 16: 4}[num_values])
    assert same(read_mask(path), indices)


def test_a_gif_of_colours_is_refused(tmp_path):
    image = Image.fromarray(INDICES % 2).convert("P")
    image.putpalette([0, 0, 0, 200, 0, 0])
    with pytest.raises(DataError, match="a colour image"):
        read_mask(saved(tmp_path, image, "mask.gif"))


def test_one_bit_gives_0_and_1(tmp_path):
    assert same(read_mask(saved(tmp_path, Image.fromarray(INDICES > 5))), (INDICES > 5))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_deep_integers_keep_their_values(tmp_path, dtype):
    values = INDICES.astype(dtype) * 100
    assert same(read_mask(saved(tmp_path, Image.fromarray(values), "mask.tif")), values)


def test_three_equal_channels_count_as_one(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.dstack([INDICES] * 3)))
    assert same(read_mask(path), INDICES)


def test_opaque_alpha_is_let_pass(tmp_path):
    opaque = np.full_like(INDICES, 255)
    path = saved(tmp_path, Image.fromarray(np.dstack([INDICES] * 3 + [opaque])))
    assert same(read_mask(path), INDICES)


def test_transparent_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.dstack([INDICES] * 4)))
    with pytest.raises(DataError, match=r"mask.png: some pixels are transparent"):
        read_mask(path)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_colours_are_refused_with_what_a_mask_is(tmp_path, channel):
    colours = np.dstack([INDICES] * 3)
    colours[4, 4, channel] += 1
    path = saved(tmp_path, Image.fromarray(colours))
    with pytest.raises(DataError, match=r"mask.png: a colour image; expected an index image"):
        read_mask(path)


def test_floats_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(INDICES.astype(np.float32)), "mask.tif")
    with pytest.raises(DataError, match="pixels of mode 'F'; expected an index image"):
        read_mask(path)


def test_jpeg_is_refused_because_it_alters_values(tmp_path):
    path = saved(tmp_path, Image.fromarray(INDICES), "mask.jpg")
    with pytest.raises(DataError, match="a JPEG, whose compression alters class indices"):
        read_mask(path)


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert same(read_mask(saved(tmp_path, Image.fromarray(INDICES), exif=exif)), INDICES)


def test_the_pixel_limit_is_passed_on(tmp_path):
    path = saved(tmp_path, Image.fromarray(INDICES))
    with pytest.raises(DataError, match="max_pixels=100"):
        read_mask(path, max_pixels=100)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mask.webp", {"lossless": False}, "a lossy WebP"),
        ("mask.tif", {"compression": "jpeg"}, "a TIFF of JPEG tiles"),
    ],
)
def test_compression_that_alters_values_is_refused(name, options, words, tmp_path):
    path = saved(tmp_path, Image.fromarray(np.zeros((16, 16), np.uint8)), name, **options)
    with pytest.raises(DataError, match=words):
        read_mask(path)


@pytest.mark.parametrize(
    ("name", "options"), [("mask.webp", {"lossless": True}), ("mask.tif", {"compression": "lzma"})]
)
def test_compression_that_keeps_values_is_read(name, options, tmp_path):
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = Image.fromarray(values)
    image = image.convert("RGB") if name.endswith("webp") else image
    assert same(read_mask(saved(tmp_path, image, name, **options)), values)


def grey_png(path, values, bits):
    """A grey PNG of so many bits a sample, chunk by chunk by its specification."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = values.shape
    per_byte = 8 // bits
    rows = b""
    for row in values:
        padded = np.pad(row, (0, -width % per_byte)).reshape(-1, per_byte)
        weights = 2 ** (bits * np.arange(per_byte - 1, -1, -1))
        rows += b"\0" + (padded * weights).sum(axis=1).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_grey_levels_of_few_bits_are_indices(bits, tmp_path):
    values = np.random.default_rng(0).integers(0, min(2**bits, 20), (5, 7))
    grey_png(tmp_path / "mask.png", values, bits)
    assert same(read_mask(tmp_path / "mask.png"), values)


@pytest.mark.parametrize("type_", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_refused(tmp_path, type_):
    tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
    tifffile.imwrite(tmp_path / "a.tif", INDICES.astype(type_), photometric="miniswhite")
    with pytest.raises(DataError, match="0 is white"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize(("name", "options"), [("a.avif", {}), ("a.jp2", {})])
def test_formats_that_may_alter_values_are_refused(tmp_path, name, options):
    with pytest.raises(DataError, match="alters class indices"):
        read_mask(saved(tmp_path, Image.fromarray(INDICES), name, **options))
