"""Pyramids: every level of the right size and content, read back by libraries that are not ours."""

import numpy as np
import pytest

from atrous.errors import DataError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("imagecodecs", reason="needs the extra slides")

from atrous.data.slides.write_pyramid import label_tiles, photo_tiles, write_pyramid  # noqa: E402

TILE = 64
SIZE = (1150, 2310)


def tiles_of(picture, kind):
    """Cut a picture into encoded tiles, the border filled up with zeros."""
    height, width = (-(-length // TILE) * TILE for length in picture.shape[:2])
    fill = [(0, height - picture.shape[0]), (0, width - picture.shape[1])]
    padded = np.pad(picture, fill + [(0, 0)] * (picture.ndim - 2), mode="edge")
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield kind.encode(np.ascontiguousarray(padded[top : top + TILE, left : left + TILE]))


@pytest.fixture(scope="module")
def labels():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return ((rows // 37 + columns // 53) % 8).astype(np.uint8)


@pytest.fixture(scope="module")
def photo():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [127 + 100 * np.sin(rows / 90 + columns / (60 + 30 * c)) for c in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


PALETTE = tuple((30 * index, 255 - 30 * index, 128) for index in range(8))


@pytest.fixture(scope="module")
def label_file(labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "labels.tif"
    kind = label_tiles(tile=TILE, palette=PALETTE)
    tiles = tiles_of(labels, kind)
    write_pyramid(path, tiles, kind=kind, size=SIZE, tile=TILE, mpp=(0.5, 0.25))
    return path


@pytest.fixture(scope="module")
def photo_file(photo, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.tif"
    kind = photo_tiles(quality=95)
    write_pyramid(path, tiles_of(photo, kind), kind=kind, size=SIZE, tile=TILE, mpp=(0.5, 0.25))
    return path


def test_levels_of_labels_are_every_second_pixel_of_the_level_before(label_file, labels):
    with tifffile.TiffFile(label_file) as tiff:
        levels = [page.asarray() for page in tiff.pages]
    assert len(levels) == 3
    for number, level in enumerate(levels):
        assert np.array_equal(level, labels[:: 2**number, :: 2**number])


def test_labels_carry_their_colours(label_file):
    with tifffile.TiffFile(label_file) as tiff:
        colours = tiff.pages[0].colormap[:, : len(PALETTE)]
    assert np.array_equal(colours // 257, np.array(PALETTE).T)


def test_levels_of_a_photo_are_means(photo_file, photo):
    with tifffile.TiffFile(photo_file) as tiff:
        levels = [page.asarray() for page in tiff.pages]
    assert np.abs(levels[0].astype(int) - photo).mean() < 2
    even = photo[: SIZE[0] // 4 * 4, : SIZE[1] // 4 * 4].astype(float)
    for number, level in enumerate(levels):
        step = 2**number
        means = even.reshape(even.shape[0] // step, step, even.shape[1] // step, step, 3)
        means = means.mean(axis=(1, 3))
        assert np.abs(level[: means.shape[0], : means.shape[1]] - means).mean() < 2.5


def test_openslide_reads_the_levels_and_both_mpp(photo_file, photo):
    openslide = pytest.importorskip("openslide", reason="needs the extra slides")
    with openslide.OpenSlide(photo_file) as slide:
        assert slide.level_dimensions == ((2310, 1150), (1155, 575), (578, 288))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5)
        region = np.array(slide.read_region((2200, 1100), 0, (110, 50)).convert("RGB"))
    assert np.abs(region.astype(int) - photo[1100:, 2200:]).mean() < 3


def test_a_small_picture_has_one_level(tmp_path, labels):
    kind = label_tiles(tile=TILE, palette=PALETTE)
    small = labels[:100, :90]
    path = tmp_path / "small.tif"
    write_pyramid(path, tiles_of(small, kind), kind=kind, size=(100, 90), tile=TILE, mpp=(1, 1))
    with tifffile.TiffFile(path) as tiff:
        assert [page.shape for page in tiff.pages] == [(100, 90)]


def test_a_fault_half_way_leaves_nothing(tmp_path, labels):
    kind = label_tiles(tile=TILE, palette=PALETTE)

    def broken():
        yield from list(tiles_of(labels, kind))[:5]
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        write_pyramid(tmp_path / "a.tif", broken(), kind=kind, size=SIZE, tile=TILE, mpp=(1.0, 1.0))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path, labels):
    kind = label_tiles(tile=TILE, palette=PALETTE)
    path = tmp_path / "nowhere" / "a.tif"
    with pytest.raises(DataError, match="could not be written"):
        write_pyramid(path, tiles_of(labels, kind), kind=kind, size=SIZE, tile=TILE, mpp=(1, 1))


def test_many_channels_count_for_the_size_of_a_file(tmp_path, monkeypatch):
    from atrous.data.slides import write_pyramid as module

    monkeypatch.setattr(module, "_BIG", 64 * 64 * 10)
    for channels, is_big in ((9, False), (10, True)):
        kind = module.probability_tiles(tile=64, channels=channels)
        tile = kind.encode(np.zeros((64, 64, channels), np.uint8))
        path = tmp_path / f"{channels}.tif"
        module.write_pyramid(path, [tile], kind=kind, size=(64, 64), tile=64, mpp=(1.0, 1.0))
        with tifffile.TiffFile(path) as tiff:
            assert tiff.is_bigtiff == is_big
