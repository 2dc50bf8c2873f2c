"""A network as slides are run by it, and how one slide is opened and cut for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from atrous.data.slides.read import Slide, open_slide
from atrous.errors import DataError, UnknownNameError
from atrous.inference import Predictor
from atrous.inference.slides.network import SlideNetwork
from atrous.inference.slides.plan import SlidePlan, plan_slide
from atrous.inference.tiles.memory import DEFAULT, MemoryModel, memory_model, parse_memory
from atrous.inference.tiles.mode import Context, choose_context
from atrous.pipelines.predict.slide_regions import SlideRegions

if TYPE_CHECKING:
    from atrous.pipelines.predict.options import SlideOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideModel:
    """A network with what holds for it on every slide.

    Attributes:
        network: Runs windows.
        context: How a slide is cut.
        memory: What a run takes.
        weights: Name of the card, and the file's SHA-256.
    """

    network: SlideNetwork
    context: Context
    memory: MemoryModel
    weights: Mapping[str, str]


def prepare_model(predictor: Predictor, options: "SlideOptions") -> SlideModel:
    """Decide what holds for all slides: context and size of tiles.

    Raises:
        DataError: If nothing fits into the memory, or exact tiles are asked for and cannot be.
        UnknownNameError: If a class is to be left out that the network does not have.
    """
    for name in options.omit:
        if name not in predictor.card.class_names:
            raise UnknownNameError("class", name, predictor.card.class_names)
    network = SlideNetwork(predictor)
    masks = network.masks()
    ceiling = DEFAULT if options.memory is None else parse_memory(options.memory)
    model = memory_model(
        masks,
        ceiling=ceiling,
        num_classes=network.num_classes,
        keeps=options.probabilities or options.context == "blended",
    )
    core_for = partial(model.core_for, wanted=options.tile)
    context = choose_context(masks, wish=options.context, core_for=core_for)
    if not context.core:
        least = model.least(context.halo, context.alignment, wanted=options.tile)
        raise DataError(
            f"The smallest tiles{f' of {options.tile} px' if options.tile else ''} with "
            f"{context.halo[0]} px around them need {least / 1e9:.1f} GB, but the ceiling is "
            f"{ceiling / 1e9:.1f} GB; give --memory {least / 1e9:.1f}G or more"
            f"{', smaller --tile' if options.tile else ''} or a smaller network."
        )
    return SlideModel(
        network=network,
        context=context,
        memory=model,
        weights={"name": predictor.card.name, "sha256": predictor.fingerprint},
    )


def open_with(path: Path, options: "SlideOptions") -> Slide:
    """A slide, open, read as the options say.

    Raises:
        DataError: As `open_slide`.
    """
    return open_slide(
        path,
        mpp=options.mpp,
        override_mpp=options.override_mpp,
        image=options.image,
        icc=options.icc,
    )


def plan_of(
    model: SlideModel,
    slide: Slide,
    options: "SlideOptions",
    regions: SlideRegions | None = None,
    *,
    limit: int | None = None,
) -> SlidePlan:
    """How a slide would be run.

    Args:
        model: What is run.
        slide: Open.
        options: Of the command line.
        regions: Where; None for where tissue is found.
        limit: Plan the first so many tiles only, for benchmarks.

    Raises:
        DataError: If no tissue is found on it.
    """
    card_mpp = model.network.predictor.card.mpp
    at = options.at_mpp or card_mpp
    plan = plan_slide(
        slide,
        mpp=slide.mpp if at is None else (at, at),
        context=model.context,
        all_tiles=options.all_tiles,
        chosen=None if regions is None else regions.chosen,
    )
    return replace(plan, places=plan.places[:limit])
