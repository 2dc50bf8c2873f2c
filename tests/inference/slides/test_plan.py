"""Plans: which tiles, in which order, of which size."""

import numpy as np
import pytest

from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.errors import DataError
from atrous.inference.tiles.mode import Context

pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")

from atrous.data.slides.read import open_slide
from atrous.inference.slides.plan import plan_slide, sample_places

TILE = 256


def context_of(core):
    return Context(
        kind="exact", core=(core,) * 2, halo=(32, 32), alignment=(16, 16), reason="for tests"
    )


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
        plan = plan_slide(slide, mpp=(at, at), context=context_of(core))
        assert set(plan.places) == spots
        assert plan.scale == (at / 2, at / 2)
        assert plan.grid.core == (core, core)
        everywhere = plan_slide(slide, mpp=(at, at), context=context_of(core), all_tiles=True)
        assert len(everywhere.places) == len(everywhere.grid) == 48


def test_a_slide_of_bare_glass_is_refused(tmp_path):
    with (
        slide_with(tmp_path / "glass.tif", spots=set()) as slide,
        pytest.raises(DataError, match="no tissue was found"),
    ):
        plan_slide(slide, mpp=(2.0, 2.0), context=context_of(256))


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_hold_every_tile_once_and_one_size_each(tmp_path, batch_size):
    with slide_with(tmp_path / "slide.tif", spots={(0, 0)}) as slide:
        plan = plan_slide(
            slide,
            mpp=(2.0, 2.0),
            context=context_of(320),
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
        plan = plan_slide(slide, mpp=(2.0, 2.0), context=context_of(TILE))
        assert sample_places(plan, 4) == [(1, 1)]
        all_of_it = plan_slide(slide, mpp=(2.0, 2.0), context=context_of(TILE), all_tiles=True)
        assert len(set(sample_places(all_of_it, 4))) == 4
