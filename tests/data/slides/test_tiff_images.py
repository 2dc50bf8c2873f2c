"""Which image of a TIFF is the slide, and what its values are: each against what was written."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from atrous.errors import DataError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
openslide = pytest.importorskip("openslide", reason="needs the extra slides")
codecs = pytest.importorskip("imagecodecs", reason="needs the extra slides")

from tests.data.slides.made import TILE, blobs, halves, painted  # noqa: E402

from atrous.data.slides.read import open_slide  # noqa: E402

SIZE = (300, 420)
SLIDE = painted(blobs(SIZE, 0))
SMALL = {
    "macro": np.full((130, 200, 3), 210, np.uint8),
    "label": np.full((128, 128, 3), 90, np.uint8),
}
COMMON = {"photometric": "rgb", "compression": "deflate"}


def scale(mpp):
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    return {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp, **unit}


def write_ome(path, order, *, tiled=("slide", "macro", "label"), slide=SLIDE, **options):
    """Images of these names, in this order, the slide with one more level."""
    with tifffile.TiffWriter(path, ome=True) as file:
        for name in order:
            tile = {"tile": (TILE, TILE)} if name in tiled else {}
            if name != "slide":
                metadata = {"axes": "YXS", "Name": name, **scale(8.0)}
                file.write(SMALL[name], metadata=metadata, **tile, **COMMON)
                continue
            levels = halves(slide, 2)
            metadata = {"axes": "YXS", "Name": "slide", **scale(0.5)}
            common = COMMON | options
            file.write(levels[0], subifds=1, metadata=metadata, **tile, **common)
            file.write(levels[1], subfiletype=1, **tile, **common)
    return path


def whole(slide):
    return slide.read((0, 0), slide.levels[0].size, mpp=slide.mpp)


@pytest.mark.parametrize(
    "order", [("macro", "slide", "label"), ("label", "macro", "slide"), ("slide", "macro")]
)
@pytest.mark.parametrize("tiled", [("slide", "macro", "label"), ("slide",)])
def test_the_slide_is_chosen_whatever_stands_before_it(tmp_path, order, tiled):
    path = write_ome(tmp_path / "a.ome.tif", order, tiled=tiled)
    with open_slide(path) as slide:
        assert slide.mpp == (0.5, 0.5)
        assert len(slide.levels) == 2
        assert np.array_equal(whole(slide), SLIDE)
        number = order.index("slide") + 1
        assert f"image {number} of {len(order)} is read" in slide.notes[0]
        assert "macro 130 x 200" in slide.notes[0]


def test_another_image_is_read_where_it_is_named(tmp_path):
    path = write_ome(tmp_path / "a.ome.tif", ("macro", "slide"))
    with open_slide(path, image=1) as slide:
        assert slide.mpp == (8.0, 8.0)
        assert np.array_equal(whole(slide), SMALL["macro"])
    with pytest.raises(DataError, match="image 3 of 2; expected 1 to 2"):
        open_slide(path, image=3)
    strips = write_ome(tmp_path / "b.ome.tif", ("macro", "slide"), tiled=("slide",))
    with pytest.raises(DataError, match="in strips"):
        open_slide(strips, image=1)


def write_plain(path, images, **options):
    """Pages one after another, as no standard says; the first may be any."""
    with tifffile.TiffWriter(path) as file:
        for pixels, mpp in images:
            file.write(
                pixels,
                tile=(TILE, TILE),
                metadata=None,
                resolution=(1e4 / mpp, 1e4 / mpp),
                resolutionunit="CENTIMETER",
                **(COMMON | options),
            )
    return path


def test_values_of_12_bits_in_16_are_as_bright_as_they_are(tmp_path):
    deep = SLIDE.astype(np.uint16) * 16
    levels = halves(deep, 2)
    path = write_plain(tmp_path / "a.tif", [(levels[0], 0.5), (levels[1], 1.0)])
    with open_slide(path) as slide:
        assert len(slide.levels) == 2
        assert "read as 12 bits" in slide.notes[0]
        # 4095 is white: 16 v of 4095 is v of 255.94.
        expected = np.rint(SLIDE * (16.0 * 255 / 4095))
        assert np.abs(whole(slide) - expected).max() <= 1


@pytest.mark.parametrize(("factor", "bits"), [(257, 16), (64, 14), (4, 10), (1, 8)])
def test_other_depths_are_found_by_the_brightest_value(tmp_path, factor, bits):
    path = write_plain(tmp_path / "a.tif", [(SLIDE.astype(np.uint16) * factor, 0.5)])
    with open_slide(path) as slide:
        assert f"read as {bits} bits" in slide.notes[0]
        assert np.abs(whole(slide).astype(int) - SLIDE).max() <= 1


def test_the_depth_that_ome_states_holds(tmp_path):
    dark = SLIDE.astype(np.uint16)
    metadata = {"axes": "YXS", "SignificantBits": 10, **scale(0.5)}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(dark, tile=(TILE, TILE), metadata=metadata, **COMMON)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        is_stated = "SignificantBits" in tiff.ome_metadata
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert f"read as {10 if is_stated else 8} bits" in slide.notes[0]


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("is_ome", [True, False])
def test_transparent_pixels_are_white_as_glass(tmp_path, kind, is_ome):
    labels = blobs(SIZE, 0)
    alpha = np.where(labels > 0, 255, 0).astype(np.uint8)
    alpha[:, :40] = np.where(labels[:, :40] > 0, 128, 0)
    colour = SLIDE * (alpha[..., None] > 0)
    expected = 255 - alpha[..., None] / 255 * (255.0 - colour)
    if kind == "assocalpha":
        colour = np.rint(colour * (alpha[..., None] / 255)).astype(np.uint8)
    rgba = np.dstack([colour, alpha])
    if is_ome:
        path = write_ome(tmp_path / "a.ome.tif", ("slide",), slide=rgba, extrasamples=[kind])
    else:
        path = write_plain(tmp_path / "a.tif", [(rgba, 0.5)], extrasamples=[kind])
    with open_slide(path) as slide:
        assert np.abs(whole(slide) - expected).max() <= 2


def test_grey_whose_zero_is_white_is_turned(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        metadata = {"axes": "YX", **scale(0.5)}
        file.write(
            255 - SLIDE[..., 0], tile=(TILE, TILE), photometric="miniswhite", metadata=metadata
        )
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide)[..., 0], SLIDE[..., 0])


def test_cmyk_is_not_taken_for_rgb(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        options = {"tile": (TILE, TILE), "photometric": "separated"}
        cmyk = np.dstack([SLIDE, SLIDE[..., 0]])
        file.write(cmyk, metadata={"axes": "YXS", **scale(0.5)}, **options)
    with pytest.raises(DataError, match="expected RGB or grey"):
        open_slide(path)


@pytest.mark.parametrize(
    ("names", "is_said"), [(["DAPI", "CD3", "CK"], True), (["R", "G", "B"], False), (None, True)]
)
def test_three_channels_are_said_to_be_taken_for_colours(tmp_path, names, is_said):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "CYX", **scale(0.5)}
    if names:
        metadata["Channel"] = {"Name": names}
    with tifffile.TiffWriter(path, ome=True) as file:
        planes = np.moveaxis(SLIDE, -1, 0).copy()
        file.write(planes, tile=(TILE, TILE), photometric="minisblack", metadata=metadata)
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide), SLIDE)
        assert any("red, green and blue" in note for note in slide.notes) == is_said
        assert any("DAPI" in note for note in slide.notes) == (names is not None and is_said)


def test_of_a_stack_the_middle_plane_is_read_and_that_is_said(tmp_path):
    path = tmp_path / "a.ome.tif"
    stack = np.stack([255 - SLIDE, SLIDE, SLIDE // 2])
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(stack, tile=(TILE, TILE), metadata={"axes": "ZYXS", **scale(0.5)}, **COMMON)
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide), SLIDE)
        assert slide.notes == ("plane 2 of 3 along Z is read",)


def profile():
    """A profile whose primaries and curve are not sRGB's."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("is_ome", [True, False])
def test_a_colour_profile_is_said_and_applied_on_request(tmp_path, is_ome):
    swapped = swapped_profile()
    if is_ome:
        path = write_ome(tmp_path / "a.ome.tif", ("slide",), iccprofile=swapped)
    else:
        path = write_plain(tmp_path / "a.tif", [(SLIDE, 0.5)], iccprofile=swapped)
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide), SLIDE)
        assert "not applied" in slide.notes[-1]
    with open_slide(path, icc=True) as slide:
        source = ImageCms.ImageCmsProfile(io.BytesIO(swapped))
        target = ImageCms.createProfile("sRGB")
        expected = ImageCms.profileToProfile(Image.fromarray(SLIDE), source, target)
        assert np.array_equal(whole(slide), np.asarray(expected))
        assert not np.array_equal(whole(slide), SLIDE)
        assert "is applied" in slide.notes[-1]


def swapped_profile():
    """sRGB's profile with the red and the blue primary exchanged."""
    data = bytearray(profile())
    count = int.from_bytes(data[128:132], "big")
    entries = {}
    for number in range(count):
        at = 132 + 12 * number
        entries[bytes(data[at : at + 4])] = at
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = (
        data[blue + 4 : blue + 12],
        data[red + 4 : red + 12],
    )
    data[84:100] = bytes(16)  # the checksum, which need not be there
    return bytes(data)


def test_without_a_profile_there_is_nothing_to_apply(tmp_path):
    path = write_plain(tmp_path / "a.tif", [(SLIDE, 0.5)])
    with open_slide(path, icc=True) as slide:
        assert "no colour profile" in slide.notes[-1]
        assert np.array_equal(whole(slide), SLIDE)


def write_jpeg(path):
    noisy = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.uint8)
    pixels = noisy.repeat(8, 0).repeat(8, 1)
    with tifffile.TiffWriter(path) as file:
        options = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER", "metadata": None}
        file.write(pixels, tile=(TILE, TILE), photometric="ycbcr", compression="jpeg", **options)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        return page.dataoffsets[4], page.databytecounts[4]


@pytest.mark.parametrize("damage", ["zeros at the end", "cut off", "zeros within"])
def test_a_half_broken_jpeg_is_no_grey_tile(tmp_path, damage):
    path = tmp_path / "a.tif"
    offset, length = write_jpeg(path)
    data = bytearray(path.read_bytes())
    half = offset + length // 2
    if damage == "zeros within":
        data[half : half + 150] = bytes(150)
    else:
        data[half : offset + length] = bytes(offset + length - half)
    if damage == "cut off":
        data[half : half + 2] = b"\xff\xd9"
    path.write_bytes(data)
    with open_slide(path) as slide:
        sound = slide.read((0, 0), (128, 384), mpp=0.5)
        assert sound.shape == (128, 384, 3)
        with pytest.raises(DataError, match="tile at row 128 and column 128 of level 0"):
            slide.read((128, 128), (10, 10), mpp=0.5)
        slide.pass_over_broken()
        part = slide.read((100, 100), (156, 156), mpp=0.5)
        assert (part[28:, 28:] == 255).all()
        assert not (part[:28] == 255).all()
        assert slide.broken == ((0, 128, 128, 128, 128),)


def test_sound_jpegs_of_any_content_are_read():
    """Grey, black and white tiles, whose data look like broken ones."""
    from atrous.data.slides.jpeg_check import check_jpeg

    for value in (0, 127, 128, 129, 255):
        tile = np.full((TILE, TILE, 3), value, np.uint8)
        data = codecs.jpeg8_encode(tile, level=90)
        check_jpeg(data, None, codecs.jpeg8_decode(data))


def test_a_qptiff_of_colour_is_read_with_its_levels(tmp_path):
    path = tmp_path / "a.qptiff"
    element = "PerkinElmer-QPI-ImageDescription"
    text = f"<{element}><ImageType>{{}}</ImageType></{element}>"
    levels = halves(SLIDE, 3)
    with tifffile.TiffWriter(path) as file:
        pages = [("FullResolution", levels[0], 0.5), ("Thumbnail", SMALL["macro"], None)]
        pages += [("ReducedResolution", levels[1], 1.0), ("ReducedResolution", levels[2], 2.0)]
        pages += [("Overview", SMALL["macro"], None), ("Label", SMALL["label"], None)]
        for kind, pixels, mpp in pages:
            options = {} if mpp is None else {"tile": (TILE, TILE), "resolution": (1e4 / mpp,) * 2}
            file.write(
                pixels,
                photometric="rgb",
                metadata=None,
                software="PerkinElmer-QPI",
                description=text.format(kind),
                resolutionunit="CENTIMETER",
                **options,
            )
    with open_slide(path) as slide:
        assert [level.size for level in slide.levels] == [level.shape[:2] for level in levels]
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert np.array_equal(whole(slide), SLIDE)


def test_a_label_that_is_larger_than_the_slide_is_not_the_slide(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        label = np.full((600, 900, 3), 90, np.uint8)
        tile = {"tile": (TILE, TILE)}
        file.write(
            label, metadata={"axes": "YXS", "Name": "label", **scale(20.0)}, **tile, **COMMON
        )
        levels = halves(SLIDE, 2)
        metadata = {"axes": "YXS", "Name": "main", **scale(0.5)}
        file.write(levels[0], subifds=1, metadata=metadata, **tile, **COMMON)
        file.write(levels[1], subfiletype=1, **tile, **COMMON)
    with open_slide(path) as slide:
        assert slide.levels[0].size == SIZE
