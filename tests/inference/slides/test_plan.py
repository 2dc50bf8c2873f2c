"""Plans: which tiles, in which order, of which size."""

import numpy as np
import pytest
import torch
from torch import nn

from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.errors import DataError
from atrous.inference.tiles.memory import BASE, memory_model, parse_memory
from atrous.inference.tiles.mode import Context, choose_context

pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")

from atrous.data.slides.read import open_slide
from atrous.inference.slides.plan import plan_slide, sample_places

TILE = 256
CONTEXT = Context(kind="exact", halo=32, alignment=16, reason="for tests")


def slide_with(path, *, spots):
    """A bright slide of 1536 x 2048 pixels of 2 µm, with a purple square in some of its tiles."""
    kind = photo_tiles()
    glass = np.full((TILE, TILE, 3), 245, np.uint8)
    stained = glass.copy()
    stained[40:216, 40:216] = (150, 60, 160)
    tiles = (
        kind.encode(stained if (row, column) in spots else glass)
        for row in range(6)
        for column in range(8)
    )
    write_pyramid(path, tiles, kind=kind, size=(1536, 2048), tile=TILE, mpp=(2.0, 2.0))
    return open_slide(path)


@pytest.mark.parametrize("at", [2.0, 4.0])
def test_the_tiles_with_tissue_and_no_others_are_run(tmp_path, at):
    spots = {(0, 0), (3, 5), (5, 7)}
    with slide_with(tmp_path / "slide.tif", spots=spots) as slide:
        core = int(TILE * 2 / at)
        plan = plan_slide(slide, mpp=(at, at), core=core, context=CONTEXT)
        assert set(plan.places) == spots
        assert plan.scale == (at / 2, at / 2)
        assert plan.grid.core == (core, core)
        everywhere = plan_slide(slide, mpp=(at, at), core=core, context=CONTEXT, all_tiles=True)
        assert len(everywhere.places) == len(everywhere.grid) == 48


def test_a_slide_of_bare_glass_is_refused(tmp_path):
    with (
        slide_with(tmp_path / "glass.tif", spots=set()) as slide,
        pytest.raises(DataError, match="no tissue was found"),
    ):
        plan_slide(slide, mpp=(2.0, 2.0), core=256, context=CONTEXT)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_hold_every_tile_once_and_one_size_each(tmp_path, batch_size):
    with slide_with(tmp_path / "slide.tif", spots={(0, 0)}) as slide:
        plan = plan_slide(
            slide,
            mpp=(2.0, 2.0),
            core=320,
            context=CONTEXT,
            all_tiles=True,
            batch_size=batch_size,
        )
        batches = list(plan.batches())
        assert sorted(tile.place for batch in batches for tile in batch) == sorted(plan.places)
        assert all(len({tile.window_size for tile in batch}) == 1 for batch in batches)
        assert max(map(len, batches)) <= batch_size
        assert [[t.place for t in b] for b in plan.batches()] == [
            [t.place for t in b] for b in batches
        ]
        by_hand = sum(h * w for h, w in (t.window_size for b in batches for t in b))
        assert plan.num_pixels == by_hand


def test_seams_are_looked_for_where_four_tiles_meet(tmp_path):
    spots = {(1, 1), (1, 2), (2, 1), (2, 2), (4, 6)}
    with slide_with(tmp_path / "slide.tif", spots=spots) as slide:
        plan = plan_slide(slide, mpp=(2.0, 2.0), core=TILE, context=CONTEXT)
        assert sample_places(plan, 4) == [(1, 1)]
        all_of_it = plan_slide(slide, mpp=(2.0, 2.0), core=TILE, context=CONTEXT, all_tiles=True)
        assert len(set(sample_places(all_of_it, 4))) == 4


@pytest.mark.parametrize(
    ("text", "number"), [("2G", 2e9), ("800M", 8e8), ("1.5 gb", 1.5e9), ("4000000000", 4e9)]
)
def test_memory_is_read(text, number):
    assert parse_memory(text) == number


@pytest.mark.parametrize("text", ["", "much", "-2G", "2X", "G"])
def test_memory_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="such as 2G"):
        parse_memory(text)


def test_more_memory_gives_larger_tiles_under_the_ceiling():
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 4, 3, padding=1))
    cores = []
    for ceiling in (BASE + 1, BASE + 150_000_000, BASE + 400_000_000, 10**11):
        model = memory_model(network, ceiling=ceiling, num_classes=4)
        core = model.core_for(8, 4)
        cores.append(core)
        assert core % 4 == 0
        assert core == 0 or model.needed(core + 16) <= ceiling
    assert cores == sorted(cores)
    assert cores[0] == 0
    assert 0 < cores[1] < cores[2] < cores[3] == 1024
    # 64 channels of 4 bytes are the least that a pixel takes here.
    assert model.bytes_per_pixel >= 64 * 4


class _Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 9, padding=4)

    def forward(self, x):
        y = self.conv(x)
        return y + y.mean((2, 3), keepdim=True)


def test_the_context_is_exact_where_it_can_be_paid_for():
    torch.manual_seed(0)
    local = nn.Conv2d(3, 2, 9, padding=4)
    exact = choose_context(local, wish="auto", core_for=lambda *_: 64)
    assert (exact.kind, exact.halo, exact.alignment) == ("exact", 4, 1)
    dear = choose_context(local, wish="auto", core_for=lambda *_: 7)
    assert dear.kind == "blended"
    assert "4.6 times the work" in dear.reason  # (7 + 8)^2 / 7^2
    assert choose_context(local, wish="exact", core_for=lambda *_: 7).kind == "exact"
    assert choose_context(local, wish="blended", core_for=lambda *_: 64).kind == "blended"
    no_room = choose_context(local, wish="auto", core_for=lambda *_: 0)
    assert "does not fit into the memory" in no_room.reason


def test_no_halo_is_wide_enough_for_global_pooling():
    torch.manual_seed(0)
    found = choose_context(_Pooled(), wish="auto", core_for=lambda *_: 64)
    assert found.kind == "blended"
    assert "mean" in found.reason
    with pytest.raises(DataError, match="cannot be exact: no halo is wide enough"):
        choose_context(_Pooled(), wish="exact", core_for=lambda *_: 64)
