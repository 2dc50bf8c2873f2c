"""JPEGs that lack their end marker are read; those that lack more are not."""

import io

import numpy as np
import pytest
from PIL import Image

from atrous.data.photos.raster import open_raster
from atrous.data.photos.whole import jpeg_without_end
from atrous.errors import DataError

KINDS = {
    "baseline": {},
    "fine": {"quality": 97, "subsampling": 0},
    "grey": {"quality": 60},
    "optimised": {"optimize": True, "quality": 30},
    "restarts": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive_restarts": {"progressive": True, "restart_marker_blocks": 1},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def photo(kind, seed=0, size=(37, 53)):
    numbers = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    image = Image.fromarray(numbers).convert("L" if kind == "grey" else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **KINDS[kind])
    return buffer.getvalue()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@every_kind
@pytest.mark.parametrize("lost", [1, 2])
def test_without_the_end_marker_every_pixel_is_read(tmp_path, kind, lost):
    data = photo(kind)
    assert data.endswith(b"\xff\xd9")
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:-lost])
    assert np.array_equal(np.asarray(open_raster(path)), pixels(data))


@every_kind
def test_what_lacks_more_is_refused_or_loses_nothing(kind):
    for seed in range(3):
        data = photo(kind, seed, size=(20 + 3 * seed, 66))
        for lost in range(3, 60):
            found = jpeg_without_end(data[:-lost])
            assert found is None or np.array_equal(np.asarray(found), pixels(data)), lost


@pytest.mark.parametrize("kind", ["progressive", "progressive_restarts"])
def test_a_progressive_file_that_ends_after_any_scan_but_the_last_is_refused(tmp_path, kind):
    data = photo(kind)
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    tables = [at for at in range(starts[0], len(data)) if data[at : at + 2] == b"\xff\xc4"]
    assert len(starts) > 3
    for at in (*starts[1:], *tables):
        path = tmp_path / "photo.jpg"
        path.write_bytes(data[:at])
        with pytest.raises(DataError, match="a broken or cut off JPEG file"):
            open_raster(path)
