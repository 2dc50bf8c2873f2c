"""Pages of scans: labels to the bit, slices where the sheet says they are, and never too large."""

import base64
import io
import json
import re
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from atrous.data.catalog import open_layout
from atrous.data.volumes.slice import grey8
from atrous.reports.volumes.layers import grey_sheet, packed
from atrous.reports.volumes.page import volume_page
from atrous.reports.volumes.picture import three_planes
from atrous.reports.volumes.viewer import ShownCase, viewer

NAMES, PALETTE = ("background", "a <b>", "c"), ((0, 0, 0), (255, 0, 0), (0, 0, 255))
SIZE = (7, 20, 30)


def smooth(size=SIZE):
    d, h, w = np.indices(size, np.float32)
    return 1 + d * 10 + h * 3 + w


def case(truth=None, size=SIZE, channels=1):
    labels = np.zeros(size, np.uint8)
    labels[2, 4, 5], labels[3, 4:8, 5:9] = 1, 2
    values = np.stack([smooth(size)] * channels)
    return ShownCase(name="x", values=values, labels=labels, truth=truth, spacing=(2.0, 1.0, 0.5))


def picture(source):
    data = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_every_slice_lies_on_the_sheet_where_the_page_looks_for_it():
    sheet = grey_sheet(smooth(), max_bytes=10**6)
    assert (sheet.grid, sheet.steps, sheet.tile) == (SIZE, (1, 1, 1), (24, 32))
    pixels, grey = picture(sheet.source).astype(int), grey8(smooth())
    for depth in range(7):
        top, left = depth // sheet.columns * 24, depth % sheet.columns * 32
        found = pixels[top : top + 20, left : left + 30]
        assert np.abs(found - grey[depth]).mean() < 4


def test_what_is_too_large_loses_quality_then_detail_then_slices():
    noise = np.random.default_rng(0).normal(size=(20, 64, 64)).astype(np.float32)
    limits = (10**6, 50_000, 12_000, 4_000)
    sheets = [grey_sheet(noise, max_bytes=limit) for limit in limits]
    assert all(len(sheet.source) <= limit for sheet, limit in zip(sheets, limits, strict=True))
    assert [sheet.steps for sheet in sheets[:3]] == [(1, 1, 1), (1, 1, 1), (1, 2, 2)]
    assert min(sheets[3].steps) > 1
    assert "means over 2 x 2 voxels" in note_of(noise, 12_400)
    assert "one axial slice in" in note_of(noise, 4_400)


def note_of(noise, max_bytes):
    shown = ShownCase(
        name="x", values=noise[None], labels=np.zeros(noise.shape, np.uint8), spacing=(1.0,) * 3
    )
    return viewer(
        shown, channel_names=["t1"], class_names=NAMES, palette=PALETTE, max_bytes=max_bytes
    ).note


def test_labels_and_truth_are_in_the_page_to_the_bit_and_volumes_in_ml():
    labels = case().labels
    truth = np.roll(labels, 1, axis=2)
    truth[0] = 255
    card = SimpleNamespace(name="net", class_names=NAMES, palette=PALETTE)
    page = volume_page(case(truth), card=card, channel_names=["t1"], facts={})
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    for key, expected in (("labels", labels), ("truth", truth)):
        found = np.frombuffer(zlib.decompress(base64.b64decode(data[key])), np.uint8)
        assert np.array_equal(found.reshape(data["size"]), expected)
    assert "a &lt;b&gt;" in page
    assert "a <b>" not in page
    assert ">0.001<" in page  # one voxel of 1 mm3
    assert ">0.016<" in page
    assert 'data-layer="truth"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_large_scan_of_four_channels_stays_under_five_megabytes():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 40, 180, 180)).astype(np.float32)
    shown = ShownCase(
        name="x", values=values, labels=np.zeros((40, 180, 180), np.uint8), spacing=(1.0,) * 3
    )
    card = SimpleNamespace(name="net", class_names=NAMES, palette=PALETTE)
    page = volume_page(shown, card=card, channel_names=list("abcd"), facts={})
    assert len(page.encode()) < 5_000_000


def test_what_nobody_labelled_is_no_error():
    shown = case()
    truth = np.full(SIZE, 255, np.uint8)
    wrong = three_planes(
        shown.values[0],
        shown.labels,
        spacing=shown.spacing,
        names=NAMES,
        palette=PALETTE,
        truth=truth,
    )
    missed, said = ((40, 120, 255), (220, 40, 40))
    planes = np.asarray(wrong)[: wrong.height // 2 + 100].reshape(-1, 3)
    assert not any((planes == colour).all(axis=1).any() for colour in (missed, said))


def test_packed_labels_of_any_order_in_memory_are_the_same():
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert packed(labels) == packed(np.asfortranarray(labels))


@pytest.mark.parametrize("channels", [1, 2])
def test_several_channels_can_be_chosen(channels):
    card = SimpleNamespace(name="net", class_names=NAMES, palette=PALETTE)
    page = volume_page(
        case(channels=channels), card=card, channel_names=["t1", "t2"][:channels], facts={}
    )
    assert page.count("<option>") == (0 if channels == 1 else 2)


@pytest.mark.real
def test_the_page_of_four_whole_modalities_is_below_five_megabytes(shared):
    pytest.importorskip("nibabel", reason="needs the extra volumes")
    layout = open_layout("brats", shared / "data" / "brain_tumour_4mod")
    volume, mask = layout.volume_and_mask(0)
    labels = mask.numpy().astype(np.uint8)
    shown = ShownCase(
        name="brain", values=volume.array, labels=labels, truth=labels, spacing=volume.spacing
    )
    card = SimpleNamespace(
        name="net", class_names=layout.class_names, palette=((0, 0, 0), *[(200, 0, 0)] * 3)
    )
    page = volume_page(shown, card=card, channel_names=layout.channel_names, facts={})
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert len(page.encode()) < 5_000_000
    assert [channel["grid"] for channel in data["channels"]] == [[155, 240, 240]] * 4  # not thinned
