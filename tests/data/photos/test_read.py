"""Reading RGB: every pixel kind against its definition, EXIF against Pillow's own turning."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps

from atrous.data import read_image, read_rgb8
from atrous.errors import DataError

rng = np.random.default_rng(0)
RGB = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GREY16 = rng.integers(0, 65536, (13, 17), dtype=np.uint16)
GREY16[0, :3] = (0, 65535, 32768)


def saved(tmp_path, image: Image.Image, name: str = "picture.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.bmp", {}),
    ],
)
def test_lossless_files_give_back_their_bytes(tmp_path, name, options):
    path = saved(tmp_path, Image.fromarray(RGB), name, **options)
    assert np.array_equal(read_rgb8(path), RGB)
    expected = torch.from_numpy(RGB.astype(np.float32) / np.float32(255)).permute(2, 0, 1)
    assert torch.equal(read_image(path), expected)


def test_the_array_is_contiguous_and_writable_and_the_tensor_its_own(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB))
    rgb, image = read_rgb8(path), read_image(path)
    rgb += 1  # would raise if read-only
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert image.dtype == torch.float32
    assert image.shape == (3, 13, 17)
    assert image.is_contiguous()


def test_a_path_may_be_text(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB))
    assert np.array_equal(read_rgb8(str(path)), RGB)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif"])
def test_grey_is_repeated_over_the_channels(tmp_path, name):
    assert np.array_equal(read_rgb8(saved(tmp_path, Image.fromarray(GREY), name)), three(GREY))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(GREY16), name)
    image = read_image(path)
    expected = GREY16.astype(np.float64) / 65535
    assert np.allclose(image.numpy(), expected, rtol=1e-6, atol=0)
    assert image[:, 0, :2].tolist() == [[0, 1]] * 3
    assert np.array_equal(read_rgb8(path), three(np.rint(expected * 255).astype(np.uint8)))
    image[0] = 0  # the channels do not share memory
    assert image[1].any()


def test_big_endian_16_bit_grey_reads_alike(tmp_path):
    image = Image.frombytes("I;16B", (17, 13), GREY16.astype(">u2").tobytes())
    path = saved(tmp_path, image, "a.tif")
    assert np.allclose(read_image(path)[0].numpy(), GREY16 / 65535, rtol=1e-6, atol=0)


def test_a_transparent_level_of_16_bit_grey_is_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY16), transparency=int(GREY16[5, 5]))
    assert read_image(path)[:, 5, 5].tolist() == [1, 1, 1]
    assert read_image(path)[:, 0, 0].tolist() == [0, 0, 0]


def test_16_bit_colour_keeps_the_upper_bytes(tmp_path):
    deep = rng.integers(0, 65536, (2, 3, 3), dtype=np.uint16)

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert np.array_equal(read_rgb8(tmp_path / "deep.png"), deep >> 8)


def test_one_bit_is_black_and_white(tmp_path):
    bits = GREY > 127
    path = saved(tmp_path, Image.fromarray(bits))
    assert np.array_equal(read_rgb8(path), three(bits.astype(np.uint8) * 255))


def test_palette_indices_become_their_colours(tmp_path):
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREY, mode=None)
    image = image.convert("P")
    image.putpalette(palette.tobytes())
    path = saved(tmp_path, image)
    assert np.array_equal(read_rgb8(path), palette[np.asarray(image)])


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_a_transparent_palette_colour_is_white(tmp_path, name):
    image = Image.new("P", (4, 2), 1)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((0, 0), 0)
    rgb = read_rgb8(saved(tmp_path, image, name, transparency=0))
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[1, 3].tolist() == [0, 0, 200]


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.webp", {"lossless": True})])
def test_alpha_lets_white_show_through(tmp_path, name, options):
    alpha = rng.integers(0, 256, GREY.shape, dtype=np.uint8)
    alpha[0, :2] = (0, 255)
    image = Image.fromarray(np.dstack([RGB, alpha]))
    path = (
        saved(tmp_path, image, name, exact=True, **options) if options else saved(tmp_path, image)
    )
    weight = alpha[..., None] / 255
    expected = RGB * weight + 255 * (1 - weight)
    assert np.abs(read_rgb8(path) - expected).max() <= 0.501
    assert np.array_equal(read_rgb8(path)[0, 1], RGB[0, 1])


def test_grey_with_alpha_lets_white_show_through(tmp_path):
    image = Image.fromarray(np.dstack([np.full_like(GREY, 100), np.full_like(GREY, 51)]), "LA")
    rgb = read_rgb8(saved(tmp_path, image))
    assert (rgb == round(100 * 0.2 + 255 * 0.8)).all()


def test_a_transparent_colour_of_rgb_is_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB), transparency=tuple(RGB[3, 4].tolist()))
    assert read_rgb8(path)[3, 4].tolist() == [255, 255, 255]
    assert np.array_equal(read_rgb8(path)[3, 5], RGB[3, 5])


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_becomes_rgb(tmp_path, name):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    rgb = read_rgb8(saved(tmp_path, image, name)).astype(int)
    assert np.abs(rgb - (0, 255, 255)).max() <= 2  # cyan; JPEG rounds


def test_ycbcr_becomes_rgb(tmp_path):
    image = Image.new("YCbCr", (16, 16), (76, 85, 255))
    rgb = read_rgb8(saved(tmp_path, image, "a.tif", compression="tiff_lzw")).astype(int)
    assert np.abs(rgb - (255, 0, 0)).max() <= 2  # JFIF's luma and chroma of pure red


def test_float_grey_in_range_is_taken_as_it_is(tmp_path):
    grey = rng.random((13, 17), dtype=np.float32)
    path = saved(tmp_path, Image.fromarray(grey), "a.tif")
    assert np.array_equal(read_image(path).numpy(), np.stack([grey] * 3))
    assert np.array_equal(read_rgb8(path)[..., 1], np.rint(grey * 255).astype(np.uint8))


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.5), (0, 255), (0, np.nan), (0, np.inf)])
def test_float_grey_out_of_range_is_refused_with_its_range(tmp_path, low, high):
    grey = np.array([[low, high]], dtype=np.float32)
    path = saved(tmp_path, Image.fromarray(grey), "a.tif")
    with pytest.raises(DataError, match=r"floating-point pixels from .*; expected \[0, 1\]"):
        read_image(path)


def test_32_bit_integers_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(GREY16.astype(np.int32)), "a.tif")
    with pytest.raises(DataError, match=r"pixels of mode 'I'; expected grey of 8 or 16 bits"):
        read_rgb8(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_exif_orientation_is_applied_once(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = saved(tmp_path, Image.fromarray(RGB), name, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert np.array_equal(read_rgb8(path), np.asarray(expected))
    assert read_rgb8(path).shape[:2] == ((13, 17) if orientation < 5 else (17, 13))


def test_exif_orientation_turns_16_bit_grey_too(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the camera was turned; rotate clockwise
    path = saved(tmp_path, Image.fromarray(GREY16), exif=exif)
    expected = np.rot90(GREY16, -1) / 65535
    assert np.allclose(read_image(path)[0].numpy(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_a_photo_with_a_broken_exif_block_is_read_as_it_lies(tmp_path, block):
    path = saved(tmp_path, Image.fromarray(RGB), "a.png", exif=block)
    assert np.array_equal(read_rgb8(path), RGB)


def test_the_pixel_limit_is_passed_on(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB))
    for read in (read_image, read_rgb8):
        with pytest.raises(DataError, match="max_pixels=220"):
            read(path, max_pixels=220)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_grey_whose_zero_is_white_is_what_it_shows(tmp_path, kind):
    tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
    top = 1 if kind is np.float32 else np.iinfo(kind).max
    shown = np.random.default_rng(0).random((5, 7))
    values = (shown * top).astype(kind)
    for photometric, stored in (
        ("minisblack", values),
        ("miniswhite", (top - values).astype(kind)),
    ):
        tifffile.imwrite(tmp_path / "grey.tif", stored, photometric=photometric)
        read = read_image(tmp_path / "grey.tif")
        assert np.abs(read[0].numpy() - shown).max() < 1 / 200
