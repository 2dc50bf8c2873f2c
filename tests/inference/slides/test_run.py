"""Slides in tiles: what whole-image inference gives, whatever kills the run on the way."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.errors import DataError
from atrous.inference import Predictor
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("zarr", reason="needs the extra slides")

from atrous._journal import Journal  # noqa: E402
from atrous.data.slides.read import open_slide  # noqa: E402
from atrous.inference.slides.network import SlideNetwork  # noqa: E402
from atrous.inference.slides.plan import plan_slide  # noqa: E402
from atrous.inference.slides.run import run_slide  # noqa: E402
from atrous.inference.slides.seam import seam_error  # noqa: E402
from atrous.inference.slides.store import SlideStore  # noqa: E402
from atrous.inference.tiles.mode import choose_context  # noqa: E402

SIZE = (230, 342)
TILE = 64
CLASSES = 3


class _Local(nn.Module):
    """A small field: its halo is finite."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Conv2d(8, CLASSES, 3, padding=1)

    def forward(self, x):
        y = self.head(torch.relu(self.down(x)))
        return nn.functional.interpolate(y, size=x.shape[2:], mode="nearest-exact")


class _Global(_Local):
    """Sees the whole input, so that no halo will do; and labels it."""

    def forward(self, x):
        masks = super().forward(x) + 0.2 * x.mean((2, 3), keepdim=True)
        return masks, x.mean((2, 3))


def network_of(kind, task):
    torch.manual_seed(0)
    card = Card(
        name="small.test",
        network="espnet",
        task=task,
        class_names=("a", "b", "c"),
        palette=((255, 0, 0), (0, 255, 0), (0, 0, 255)),
        label_names=("x", "y", "z") if task == "joint" else (),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )
    return SlideNetwork(Predictor(kind(), card))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    kind = photo_tiles()
    rng = np.random.default_rng(0)
    height, width = (-(-length // TILE) * TILE for length in SIZE)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    photo = coarse.repeat(8, 0).repeat(8, 1)
    tiles = (
        kind.encode(np.ascontiguousarray(photo[y : y + TILE, x : x + TILE]))
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    )
    write_pyramid(path, tiles, kind=kind, size=SIZE, tile=TILE, mpp=(0.5, 0.5))
    with open_slide(path) as slide:
        yield slide


def plan_for(slide, network, *, wish="auto", batch_size=1):
    context = choose_context(network.masks(), wish=wish, core_for=lambda *_: (64, 64))
    return plan_slide(slide, mpp=(0.5, 0.5), context=context, all_tiles=True, batch_size=batch_size)


def run(slide, network, plan, folder, *, keeps=True):
    folder.mkdir(exist_ok=True)
    store = SlideStore(
        folder / "store",
        size=plan.grid.size,
        chunk=plan.grid.core,
        num_classes=CLASSES if keeps else 0,
    )
    with Journal(folder / "journal", run={"of": "test"}) as journal:
        labels = run_slide(
            slide, network, plan, store=store, journal=journal, scratch=folder / "windows"
        )
    return store, labels


def everything(store):
    return store.read(0, 0, *store.size), store.read_probabilities(0, 0, *store.size)


def test_exact_tiles_are_the_whole_slide(slide, tmp_path):
    network = network_of(_Local, "segmentation")
    plan = plan_for(slide, network, batch_size=3)
    assert plan.context.kind == "exact"
    store, labels = run(slide, network, plan, tmp_path / "run")
    whole = network.run([slide.read((0, 0), SIZE, mpp=0.5)])[0][0]
    found, probabilities = everything(store)
    np.testing.assert_array_equal(found, whole.argmax(0).numpy())
    np.testing.assert_allclose(probabilities / 255, whole.softmax(0).numpy(), atol=0.5 / 255 + 1e-5)
    assert len(np.unique(found)) == CLASSES
    assert labels == {}
    seam = seam_error(slide, network, plan, store)
    assert (seam.num_seams, seam.num_different) == (4, 0)
    assert seam.num_pixels > 10_000


def test_less_halo_than_the_field_shows_at_the_seams(slide, tmp_path):
    network = network_of(_Local, "segmentation")
    plan = plan_for(slide, network)
    bare = plan_slide(
        slide,
        mpp=(0.5, 0.5),
        context=replace(plan.context, halo=(0, 0)),
        all_tiles=True,
    )
    store, _ = run(slide, network, bare, tmp_path / "run")
    assert seam_error(slide, network, plan, store).num_different > 0


def test_blended_tiles_label_every_pixel_and_every_tile(slide, tmp_path):
    network = network_of(_Global, "joint")
    plan = plan_for(slide, network)
    assert plan.context.kind == "blended"
    assert "mean" in plan.context.reason
    store, labels = run(slide, network, plan, tmp_path / "run")
    found, probabilities = everything(store)
    assert found.max() < CLASSES
    assert set(labels) == set(plan.places)
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in labels.values())
    np.testing.assert_allclose(probabilities.sum(0, dtype=int), 255, atol=2)
    assert not list((tmp_path / "run/windows").iterdir())  # nothing waits any more
    seam = seam_error(slide, network, plan, store)
    assert 0 <= seam.share < 0.2


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("how", ["number", "number of the last", "cut", "header"])
def test_a_window_that_was_altered_while_it_waited_is_run_again(slide, tmp_path, monkeypatch, how):
    network = network_of(_Global, "joint")
    plan = plan_for(slide, network)
    whole, labels = run(slide, network, plan, tmp_path / "whole")
    write, num_written = SlideStore.write, 0

    def stopping(self, core):
        nonlocal num_written
        num_written += 1
        if num_written == 4:
            raise StoppedError
        return write(self, core)

    with monkeypatch.context() as patched:
        patched.setattr(SlideStore, "write", stopping)
        with pytest.raises(StoppedError):
            run(slide, network, plan, tmp_path / "stopped")
    waiting = sorted((tmp_path / "stopped/windows").iterdir())
    assert len(waiting) > 1
    for path in waiting:
        data = bytearray(path.read_bytes())
        if how == "cut":
            del data[-100:]
        elif how == "header":
            data[20] ^= 255
        else:
            data[-5 if "last" in how else len(data) // 2] ^= 0x40  # a float's exponent
        path.write_bytes(data)
    again, labels_again = run(slide, network, plan, tmp_path / "stopped")
    for found, expected in zip(everything(again), everything(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert labels_again == labels


def test_blending_one_tile_is_the_network_itself(slide, tmp_path):
    network = network_of(_Global, "joint")
    context = choose_context(network.masks(), wish="blended", core_for=lambda *_: (352, 352))
    plan = plan_slide(slide, mpp=(0.5, 0.5), context=context, all_tiles=True)
    store, _ = run(slide, network, plan, tmp_path / "run")
    whole = network.run([slide.read((0, 0), SIZE, mpp=0.5)])[0][0]
    probability = whole.softmax(0).numpy()
    best = np.sort(probability, axis=0)
    is_clear = best[-1] - best[-2] > 2e-3  # 16-bit floats lie between
    np.testing.assert_array_equal(everything(store)[0][is_clear], probability.argmax(0)[is_clear])


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("kind", [_Local, _Global])
@pytest.mark.parametrize("calls", [1, 2, 7, 16])
def test_a_run_killed_at_any_write_ends_the_same(slide, tmp_path, monkeypatch, kind, calls):
    task = "joint" if kind is _Global else "segmentation"
    network = network_of(kind, task)
    plan = plan_for(slide, network, batch_size=2)
    expected, expected_labels = run(slide, network, plan, tmp_path / "whole")
    expected = everything(expected)
    remaining = [calls]

    def killing(method):
        def wrapped(self, *arguments):
            remaining[0] -= 1
            if remaining[0] == 0:
                raise _KilledError
            return method(self, *arguments)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(SlideStore, "write", killing(SlideStore.write))
        patch.setattr(Journal, "add", killing(Journal.add))
        with pytest.raises(_KilledError):
            run(slide, network, plan, tmp_path / "killed")
    store, labels = run(slide, network, plan, tmp_path / "killed")
    for found, wanted in zip(everything(store), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert labels == expected_labels


def test_a_chunk_that_was_spoilt_is_done_again(slide, tmp_path):
    network = network_of(_Local, "segmentation")
    plan = plan_for(slide, network)
    store, _ = run(slide, network, plan, tmp_path / "run")
    expected = everything(store)
    chunks = sorted(path for path in (tmp_path / "run/store/labels/c").rglob("*") if path.is_file())
    chunks[0].write_bytes(chunks[0].read_bytes()[:-3])
    chunks[1].unlink()
    again, _ = run(slide, network, plan, tmp_path / "run")
    for found, wanted in zip(everything(again), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_nothing_is_run_twice(slide, tmp_path, monkeypatch):
    network = network_of(_Local, "segmentation")
    plan = plan_for(slide, network)
    run(slide, network, plan, tmp_path / "run")
    monkeypatch.setattr(SlideNetwork, "run", lambda *_: pytest.fail("it was run again"))
    run(slide, network, plan, tmp_path / "run")


def test_a_slide_that_breaks_in_the_middle_is_told(slide, tmp_path):
    broken = tmp_path / "broken.tif"
    shutil.copy(slide.path, broken)
    with tifffile.TiffFile(broken) as tiff:
        start, length = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    with broken.open("r+b") as file:
        file.seek(start)
        file.write(bytes(length))
    network = network_of(_Local, "segmentation")
    with open_slide(broken) as opened, pytest.raises(DataError, match=r"broken\.tif"):
        run(opened, network, plan_for(opened, network), tmp_path / "run")
