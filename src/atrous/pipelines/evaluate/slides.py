"""Score masks on whole slides: run in tiles as `predict` does, counted as they come."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from atrous.errors import DataError
from atrous.pipelines.evaluate.evaluation import Evaluation
from atrous.pipelines.evaluate.options import SlideScoring
from atrous.pipelines.evaluate.scored_masks import ScoredMasks
from atrous.pipelines.evaluate.settings import EvaluationSettings
from atrous.pipelines.predict.options import SlideOptions
from atrous.pipelines.predict.report import one_line
from atrous.pipelines.progress import OnProgress, Progress, counter

if TYPE_CHECKING:
    from atrous.data.dataset import Dataset
    from atrous.evaluation.slides import SlideCounts
    from atrous.inference import Predictor
    from atrous.metrics.iou import Scores
    from atrous.networks.card import Card
    from atrous.pipelines.predict.slide_model import SlideModel
    from atrous.reports.evaluation.masks_page import Example


_MOST_NAMED: Final = 5
_HARDLY: Final = 0.05
"""Mean IoU of a slide below which truth and prediction are said to hardly overlap."""


def check_protocol(card: "Card", protocol: str) -> None:
    """Refuse what slides cannot be scored by.

    Raises:
        DataError: If the protocol counts unlabelled pixels.
    """
    if protocol == "camvid_published" and card.void_class is not None:
        raise DataError(
            "Protocol camvid_published counts unlabelled pixels, and of slides only labelled tiles "
            "are run; expected void_ignored; name it."
        )


def evaluate_slides(
    predictor: "Predictor",
    samples: "Dataset",
    card: "Card",
    protocol: str,
    options: SlideScoring,
    settings: EvaluationSettings,
    *,
    on_progress: OnProgress,
) -> Evaluation:
    """Run and score; write the page if one is asked for.

    Args:
        predictor: A network that gives masks.
        samples: Slides with their truth, in the data's own classes.
        card: With the classes that are scored.
        protocol: A name in `PROTOCOLS`.
        options: How the slides are run.
        settings: How it is scored besides.
        on_progress: Called after every tile of every slide.

    Raises:
        DataError: If a slide or its truth is broken, or the memory is too small.
    """
    from atrous._files import write_text
    from atrous.data.combine import Remapped
    from atrous.evaluation.masks import check_classes
    from atrous.metrics.protocols import score
    from atrous.pipelines.evaluate.masks import mask_lines
    from atrous.pipelines.predict.slide_model import prepare_model

    check_protocol(card, protocol)
    if settings.class_map is not None:
        samples = Remapped(samples, settings.class_map).require("slides")
    check_classes(samples, card.class_names)
    model = prepare_model(
        predictor,
        SlideOptions(memory=options.memory, context=options.context, tile=options.tile),
    )
    counts, bare = _count(model, samples, card, settings, on_progress)
    scored = ScoredMasks.of([count.matrix for count in counts], card=card, protocol=protocol)
    by_slide = [
        score(count.matrix, protocol=protocol, void_class=card.void_class) for count in counts
    ]
    record = scored.record() | settings.record(predictor.card)
    record |= _slide_record(model, samples, counts, by_slide)
    said = [*_lone_truths(samples), *bare, *_said_of_slides(counts, by_slide)]
    record["notes"] = said
    notes = [*_notes(model, samples, predictor.card, settings), *said]
    if settings.html is not None:
        best, worst = _examples(counts, [slide.mean_iou for slide in by_slide])
        page = scored.page(best=best, worst=worst, notes=notes, unit="slides")
        write_text(settings.html, page)
    by_name = [
        f"  {count.name:<24}{100 * slide.mean_iou:6.2f} %"
        for count, slide in zip(counts, by_slide, strict=True)
    ]
    lines = (*mask_lines(record, settings, notes, unit="slides"), "mean IoU by slide", *by_name)
    return Evaluation(record=record, lines=lines, page=settings.html)


def _count(
    model: "SlideModel",
    samples: "Dataset",
    card: "Card",
    settings: EvaluationSettings,
    on_progress: OnProgress,
) -> "tuple[list[SlideCounts], list[str]]":
    """What was counted slide by slide, and what is said of slides without any label."""
    from atrous.evaluation.slides import UnlabelledSlideError, count_slide, scored_plan
    from atrous.inference.slides.plan import plan_slide

    class_names = model.network.predictor.card.class_names
    table = None if settings.class_map is None else settings.class_map.network_table(class_names)
    counts, bare = [], []
    for number, name in enumerate(samples.slide_names):
        labelled = samples.open_slide(number)
        everywhere = plan_slide(
            labelled.slide,
            mpp=labelled.mpp,
            context=model.context,
            all_tiles=True,
        )
        try:
            plan = scored_plan(everywhere, labelled)
        except UnlabelledSlideError as error:
            if len(samples.slide_names) == 1:
                raise
            bare += [f"{name} is left out: nothing of it is labelled", *labelled.notes]
            problem = one_line(error)
            on_progress(Progress(task=name, problem=problem))
            continue
        with TemporaryDirectory(prefix="atrous-") as scratch:
            counts.append(
                count_slide(
                    labelled,
                    model.network,
                    plan,
                    scratch=Path(scratch),
                    num_classes=len(card.class_names),
                    table=table,
                    advance=counter(on_progress, name, len(plan.places)),
                )
            )
    if not counts:
        raise DataError("Nothing is labelled on any slide; expected labels; look at the truths.")
    return counts, bare


def _lone_truths(samples: "Dataset") -> list[str]:
    """What is said of truths that no slide has."""
    lone = samples.lone_truths
    if not lone:
        return []
    shown = ", ".join(lone[:_MOST_NAMED]) + (", …" if len(lone) > _MOST_NAMED else "")
    return [f"{len(lone)} truths are passed over, for no slide has their names: {shown}"]


def _said_of_slides(counts: "Sequence[SlideCounts]", scores: "Sequence[Scores]") -> list[str]:
    """What the truths left out, and where a truth and what was found hardly share a pixel."""
    said = [note for count in counts for note in count.notes]
    said += [
        f"{count.name}: truth and prediction hardly overlap (mean IoU {slide.mean_iou:.1%}); see "
        "whether the truth is of this slide, its frame (--frame) and its classes"
        for count, slide in zip(counts, scores, strict=True)
        if slide.mean_iou < _HARDLY
    ]
    return said


def _slide_record(
    model: "SlideModel",
    samples: "Dataset",
    counts: "Sequence[SlideCounts]",
    scores: "Sequence[Scores]",
) -> dict[str, object]:
    """What is said of slides besides, as docs/json.md promises it."""
    from atrous.pipelines.evaluate.settings import percent

    return {
        "mpp": list(samples.open_slide(0).mpp),
        "context": {
            "kind": model.context.kind,
            "halo": model.context.halo[0],
            "core": model.context.core[0],
            "reason": model.context.reason,
        },
        "frames": {count.name: count.frame for count in counts},
        "slides": {
            count.name: percent(slide.mean_iou) for count, slide in zip(counts, scores, strict=True)
        },
    }


def _notes(
    model: "SlideModel", samples: "Dataset", card: "Card", settings: EvaluationSettings
) -> list[str]:
    """What the scores depend on, a line each."""
    mpp = samples.open_slide(0).mpp[0]
    own = "" if card.mpp is not None else ", which is that of the first slide's own level 0"
    first = (
        f"input: whole slides at {mpp:g} µm per pixel{own}, in {model.context.kind} tiles of "
        f"{model.context.core[0]} px ({model.context.reason})"
    )
    return [first, *settings.lines(card)[1:]]


def _examples(
    counts: "Sequence[SlideCounts]", scores: Sequence[float]
) -> "tuple[list[Example], list[Example]]":
    """The best slides and the worst, reduced."""
    import torch

    from atrous.pipelines.evaluate.masks import NUM_EXAMPLES
    from atrous.reports.evaluation.masks_page import Example, extremes

    def example(position: int) -> Example:
        count = counts[position]
        return Example(
            name=count.name,
            mean_iou=scores[position],
            image=count.image,
            truth=torch.from_numpy(count.truth),
            prediction=torch.from_numpy(count.prediction),
        )

    best, worst = extremes(scores, NUM_EXAMPLES)
    return [example(i) for i in best], [example(i) for i in worst]
