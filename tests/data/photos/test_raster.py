"""Opening image files: every format whole, and one clear line for everything that is not one."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, WebPImagePlugin

from atrous.data.photos.raster import (
    DEFAULT_MAX_PIXELS,
    IMAGE_SUFFIXES,
    image_size,
    open_raster,
    open_raster_bytes,
)
from atrous.errors import DataError

ROWS, COLUMNS = np.mgrid[:37, :53]
RGB = np.stack([ROWS * 6, COLUMNS * 4, (ROWS * COLUMNS) % 256], axis=-1).astype(np.uint8)


def encode(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


FILES = {
    "jpeg": encode(Image.fromarray(RGB), "JPEG", quality=90),
    "jpeg_progressive": encode(Image.fromarray(RGB), "JPEG", progressive=True),
    "png": encode(Image.fromarray(RGB), "PNG"),
    "webp": encode(Image.fromarray(RGB), "WEBP", quality=80),
    "webp_lossless": encode(Image.fromarray(RGB), "WEBP", lossless=True),
    "tiff": encode(Image.fromarray(RGB), "TIFF"),
    "tiff_big": encode(Image.fromarray(RGB), "TIFF", big_tiff=True),
    "tiff_deflate": encode(Image.fromarray(RGB), "TIFF", compression="tiff_deflate"),
    "tiff_jpeg": encode(Image.fromarray(RGB), "TIFF", compression="jpeg"),
    "bmp": encode(Image.fromarray(RGB), "BMP"),
    "gif": encode(Image.fromarray(RGB), "GIF"),
}
every_file = pytest.mark.parametrize("kind", FILES)


@every_file
def test_gives_what_pillow_gives_whatever_the_suffix(tmp_path, kind):
    path = tmp_path / "picture.dat"
    path.write_bytes(FILES[kind])
    expected = Image.open(io.BytesIO(FILES[kind])).convert("RGB")
    assert np.array_equal(np.asarray(open_raster(path).convert("RGB")), np.asarray(expected))


@every_file
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_cut_off_file_is_refused_unless_no_pixel_is_lost(tmp_path_factory, kind, data):
    whole = FILES[kind]
    length = data.draw(st.integers(1, len(whole) - 1))
    path = tmp_path_factory.mktemp("cut") / "picture"
    path.write_bytes(whole[:length])
    try:
        image = open_raster(path)
    except DataError:
        return  # what it says is tested below
    expected = Image.open(io.BytesIO(whole)).convert("RGB")
    assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(expected))


@every_file
def test_half_a_file_is_refused(tmp_path, kind):
    path = tmp_path / "half"
    path.write_bytes(FILES[kind][: len(FILES[kind]) // 2])
    with pytest.raises(
        DataError, match=r"half: a broken or cut off .* file .*; copy it again"
    ) as e:
        open_raster(path)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("kind", [kind for kind in FILES if not kind.startswith("webp")])
def test_pillows_own_limit_neither_warns_nor_decides(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    path = tmp_path / "picture"
    path.write_bytes(FILES[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_raster(path).size == (53, 37)


@pytest.mark.skipif(
    not hasattr(WebPImagePlugin, "_get_size"), reason="this Pillow sets WebP no limit of its own"
)
def test_webp_beyond_pillows_limit_is_refused_in_our_words(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "picture.webp"
    path.write_bytes(FILES["webp"])
    with pytest.raises(DataError, match=r"a WebP file with more pixels.*\(200\).*PNG or TIFF"):
        open_raster(path)


def test_webp_between_pillows_warning_and_its_limit_opens_quietly(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 37 * 53 - 1)
    path = tmp_path / "picture.webp"
    path.write_bytes(FILES["webp"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_raster(path).size == (53, 37)


@every_file
def test_our_limit_decides_to_the_pixel(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(FILES[kind])
    assert open_raster(path, max_pixels=37 * 53).size == (53, 37)
    with pytest.raises(DataError, match=r"53 x 37 \(W x H\) is 1,961 pixels.*max_pixels=1,960"):
        open_raster(path, max_pixels=37 * 53 - 1)


def test_a_bomb_is_refused_by_its_header_in_one_line(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(100_000, 100_000))
    with pytest.raises(DataError, match=r"100000 x 100000 \(W x H\) is 10,000,000,000 pixels"):
        open_raster(path)


def test_opening_changes_no_setting_of_pillow(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(FILES["png"])
    before = Image.MAX_IMAGE_PIXELS
    open_raster(path, max_pixels=DEFAULT_MAX_PIXELS)
    assert before == Image.MAX_IMAGE_PIXELS


def test_text_named_png_is_refused_with_what_it_begins_with(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("hello world")
    with pytest.raises(DataError, match=r"notes.png: not an image.*b'hello wo'.*a JPEG, PNG"):
        open_raster(path)


def test_postscript_is_not_an_image(tmp_path):
    path = tmp_path / "page.eps"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="not an image this can read"):
        open_raster(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(DataError, match=r"empty.jpg: an empty file \(0 bytes\)"):
        open_raster(path)


def test_a_file_of_nothing_but_a_signature_is_refused(tmp_path):
    path = tmp_path / "stub.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="a broken or cut off PNG file"):
        open_raster(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a folder; expected .*; name a file in it"):
        open_raster(tmp_path)


@pytest.mark.parametrize("name", ["missing.png", "x" * 300, "null\0.png", "a.png/b.png"])
def test_a_path_that_leads_nowhere_is_refused(tmp_path, name):
    (tmp_path / "a.png").write_bytes(FILES["png"])
    with pytest.raises(DataError, match="check the path and its permissions"):
        open_raster(tmp_path / name)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_raster(tmp_path / "pipe.png")


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(FILES["png"])

    def forbid(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", forbid)  # root may open anything, so it is acted
    with pytest.raises(DataError, match=r"secret.png: Permission denied; expected"):
        open_raster(path)


def test_a_tiff_of_several_pages_is_refused_with_their_number(tmp_path):
    pages = [Image.fromarray(RGB)] * 3
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"stack.tif: a TIFF file of 3 pages; expected one"):
        open_raster(tmp_path / "stack.tif")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    path = tmp_path / f"moving.{suffix}"
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert open_raster(path).convert("RGB").getpixel((4, 3)) == (255, 0, 0)


@pytest.mark.parametrize(("suffix", "name"), [(".avif", "AVIF"), (".jp2", "JPEG2000")])
def test_formats_of_pillow_itself_are_read(tmp_path, suffix, name):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode(Image.fromarray(RGB), name))
    assert path.suffix in IMAGE_SUFFIXES
    expected = Image.open(path).convert("RGB")
    assert np.array_equal(np.asarray(open_raster(path)), np.asarray(expected))


@pytest.mark.parametrize(
    ("head", "package"),
    [(b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"), (b"\xff\x0a" + bytes(14), "JPEG XL")],
)
def test_what_a_plug_in_would_read_is_named(tmp_path, head, package):
    (tmp_path / "a.bin").write_bytes(head + bytes(100))
    with pytest.raises(DataError, match=package):
        open_raster(tmp_path / "a.bin")


def test_a_size_is_that_of_the_header_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(20_000, 30_000))
    assert image_size(tmp_path / "a.png") == (30_000, 20_000)


def test_bytes_are_read_as_the_file_is():
    assert np.array_equal(np.asarray(open_raster_bytes(FILES["png"])), RGB)
    with pytest.raises(DataError, match="not an image"):
        open_raster_bytes(b"hello, this is text")


@pytest.mark.parametrize("is_palette", [False, True])
def test_a_png_with_pixels_of_another_checksum_is_broken(tmp_path, is_palette):
    image = Image.fromarray(RGB).quantize(64) if is_palette else Image.fromarray(RGB)
    data = encode(image, "PNG")
    start, length = data.index(b"IDAT") + 4, int.from_bytes(data[data.index(b"IDAT") - 4 :][:4])
    refused = 0
    for place in range(start, start + length, max(1, length // 60)):
        (tmp_path / "a.png").write_bytes(
            data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]
        )
        with pytest.raises(DataError, match="broken or cut off"):
            open_raster(tmp_path / "a.png")
        refused += 1
    assert refused >= 60


def test_heic_is_read_where_its_plug_in_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="needs the extra images")
    heif.from_pillow(Image.fromarray(RGB)).save(tmp_path / "a.heic", quality=-1)
    assert ".heic" in IMAGE_SUFFIXES
    found = np.asarray(open_raster(tmp_path / "a.heic").convert("RGB")).astype(int)
    assert found.shape == RGB.shape
    # Half the chroma is kept, so that single pixels differ and means do not.
    assert abs(found.mean(axis=(0, 1)) - RGB.mean(axis=(0, 1))).max() < 2
