"""How much a slide's result differs at the seams of its tiles from one computed without a seam."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from atrous._argmax import argmax_classes
from atrous.data.slides.read import Slide
from atrous.inference.slides.network import SlideNetwork
from atrous.inference.slides.plan import SlidePlan, sample_places
from atrous.inference.slides.store import SlideStore
from atrous.inference.tiles.grid import Tile
from atrous.types import UNLABELLED

NUM_SEAMS: Final = 4
"""Windows that are run once more, with the corner of four tiles in their middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamError:
    """What was compared.

    Attributes:
        num_seams: Corners of four tiles that were looked at; 0 where no four tiles meet.
        num_pixels: Labels compared around them.
        num_different: Those that differ.
    """

    num_seams: int
    num_pixels: int
    num_different: int

    @property
    def share(self) -> float | None:
        """Part of the labels that differ; None if none were compared."""
        return self.num_different / self.num_pixels if self.num_pixels else None


def seam_error(
    slide: Slide,
    network: SlideNetwork,
    plan: SlidePlan,
    store: SlideStore,
    *,
    number: int = NUM_SEAMS,
) -> SeamError:
    """Run windows with a seam in their middle, and compare their middles with the store.

    Args:
        slide: Open.
        network: The one that filled the store.
        plan: As it ran.
        store: Holds all of the plan's tiles.
        number: Corners to look at, spread evenly over the slide.

    Raises:
        DataError: If the slide is broken.
    """
    places = sample_places(plan, number)
    step, halo, core = plan.context.alignment[0], plan.grid.halo[0], plan.grid.core[0]
    half = max(step, core // 2 // step * step)
    num_pixels = num_different = 0
    for place in places:
        corner = [part.stop for part in plan.grid.tile(place).core]
        middle, window = (
            tuple(
                slice(max(0, at - reach), min(length, at + reach))
                for at, length in zip(corner, plan.grid.size, strict=True)
            )
            for reach in (half, half + halo)
        )
        tile = Tile(place=place, core=middle, window=window)
        labels = argmax_classes(network.run([plan.read(slide, tile)])[0][0]).to("cpu").numpy()
        seamless = labels[tile.inside]
        stored = store.read(middle[0].start, middle[1].start, *seamless.shape)
        is_run = stored != UNLABELLED
        num_pixels += int(is_run.sum())
        num_different += int(np.count_nonzero((stored != seamless) & is_run))
    return SeamError(num_seams=len(places), num_pixels=num_pixels, num_different=num_different)
