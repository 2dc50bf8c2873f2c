"""Score a model on a data set of any kind, by a protocol that has a name."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from atrous._extras import MODULES, check_extra
from atrous.errors import DataError
from atrous.pipelines.evaluate.evaluation import Evaluation
from atrous.pipelines.evaluate.options import ImageScoring, SlideScoring, VolumeScoring
from atrous.pipelines.evaluate.settings import EvaluationSettings, parse_scales
from atrous.pipelines.progress import OnProgress, ignore
from atrous.types import UNLABELLED

if TYPE_CHECKING:
    from atrous.data.dataset import Dataset, Need
    from atrous.data.slides.parts import SlideReading
    from atrous.inference.model import Model
    from atrous.runtimes.engine import Engine

Scoring = ImageScoring | SlideScoring | VolumeScoring


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where a data set lies, and what of it is scored.

    Attributes:
        root: Folder of the data set.
        layout: How the folder is laid out: a name in `atrous.data.catalog.LAYOUTS`.
        split: Part of the data set, such as `val`.
        subset: A text file of sample names, one per line: only these.
        remap: A class map by which the data's classes are renamed and merged.
    """

    root: Path
    layout: str
    split: str | None = None
    subset: Path | None = None
    remap: str | None = None

    def open(self, model: "Model", reading: "SlideReading | None" = None) -> "Dataset":
        """The samples, whose masks hold no more classes than the model has.

        Args:
            model: What is scored on them.
            reading: How the files of slides are read.

        Raises:
            DataError: If the folder is not laid out so.
            UnknownNameError: If there is no such layout.
        """
        return self._open(len(model.card.class_names), model.card.mpp, reading)

    def open_any_classes(self, model: "Model", reading: "SlideReading | None" = None) -> "Dataset":
        """The samples, whose masks hold any classes, or which have labels of whole images.

        Args:
            model: What is scored on them.
            reading: How the files of slides are read.

        Raises:
            DataError: If the folder is not laid out so.
            UnknownNameError: If there is no such layout.
        """
        return self._open(UNLABELLED, model.card.mpp, reading)

    def _open(
        self, num_classes: int, mpp: float | None, reading: "SlideReading | None"
    ) -> "Dataset":
        from atrous.data.catalog import open_layout

        return open_layout(
            self.layout,
            self.root,
            split=self.split,
            num_classes=num_classes,
            subset=self.subset,
            remap=self.remap,
            mpp=mpp,
            reading=reading,
        )


def evaluate(
    model: "Model | str | Path",
    data: str | Path,
    layout: str,
    options: Scoring | None = None,
    *,
    protocol: str | None = None,
    split: str | None = None,
    subset: str | Path | None = None,
    remap: str | None = None,
    html: str | Path | None = None,
    device: str = "cpu",
    on_progress: OnProgress = ignore,
) -> Evaluation:
    """Score a model on labelled images, slides or volumes.

    Args:
        model: A model, a weights file, or the name of a shipped model such as `people`.
        data: Folder of the data set.
        layout: How the folder is laid out: a name in `atrous.data.catalog.LAYOUTS`.
        options: What is asked for besides, of the kind that the data are.
        protocol: Whose rules; None for `void_ignored` of masks, `top1` of labels, and
            `absent_left_out` of volumes.
        split: Part of the data set, such as `val`.
        subset: A text file of sample names, one per line: only these.
        remap: A class map by which the data's classes are renamed and merged.
        html: Where to write a page with pictures; of volumes a folder gets a page for some cases.
        device: Where the network runs, unless `model` is loaded already.
        on_progress: Called while it works.

    Raises:
        DataError: If the data cannot be read, or do not fit the model or the options.
        UnknownNameError: If there is no such layout, protocol or class map.
    """
    from atrous.pipelines.predict.files import open_any

    source = DataSource(
        root=Path(data),
        layout=layout,
        split=split,
        subset=None if subset is None else Path(subset),
        remap=remap,
    )
    page = None if html is None else Path(html)
    opened = open_any(model, device)
    chosen = options or usual_scoring(opened, source)
    return score(opened, source, chosen, protocol=protocol, html=page, on_progress=on_progress)


def usual_scoring(model: "Model", source: DataSource) -> Scoring:
    """Options with their defaults, of the kind of the data.

    Raises:
        DataError: If the data are of another kind than the model.
    """
    return {"images": ImageScoring, "slides": SlideScoring, "volumes": VolumeScoring}[
        kind_of(model, source)
    ]()


def kind_of(model: "Model", source: DataSource) -> str:
    """What is scored: `images`, `slides` or `volumes`.

    Raises:
        DataError: If the data are of another kind than the model.
        UnknownNameError: If there is no such layout.
    """
    from atrous.data.catalog import LAYOUTS, kind_of_layout
    from atrous.errors import UnknownNameError

    if source.layout not in LAYOUTS:
        raise UnknownNameError("layout", source.layout, LAYOUTS)
    kind = kind_of_layout(source.layout)
    if (model.kind == "volumes") != (kind == "volumes"):
        takes = "volumes" if model.kind == "volumes" else "images"
        held = "volumes" if kind == "volumes" else "images"
        raise DataError(
            f"{model.card.name} takes {takes}, and layout {source.layout!r} holds {held}; expected "
            "one kind; take another network, or name another layout."
        )
    return "images" if kind == "photos" else kind


def score(
    model: "Model",
    source: DataSource,
    options: Scoring,
    *,
    protocol: str | None,
    html: Path | None,
    on_progress: OnProgress,
) -> Evaluation:
    """As `evaluate`, with everything opened and chosen.

    Raises:
        DataError: As `evaluate`.
        UnknownNameError: As `evaluate`.
    """
    from atrous._files import check_place
    from atrous.data.class_map import read_class_map
    from atrous.inference.tta import Averaging
    from atrous.pipelines.evaluate.volume_pages import check_pages

    if (kind := kind_of(model, source)) in MODULES:
        check_extra(kind)
    if html is not None:
        (check_pages if model.kind == "volumes" else check_place)(html)
    class_map = options.class_map
    has_flip = False if isinstance(options, SlideScoring) else options.flip
    scales = parse_scales(options.scales) if isinstance(options, ImageScoring) else (1.0,)
    settings = EvaluationSettings(
        averaging=Averaging(scales=scales, has_flip=has_flip),
        class_map=None if class_map is None else read_class_map(class_map),
        remap=source.remap,
        has_boundary=isinstance(options, ImageScoring) and options.boundary,
        html=html,
    )
    if isinstance(options, VolumeScoring):
        found = _score_volumes(model, source, options, settings, protocol, on_progress)
    else:
        found = _score_images(model, source, options, settings, protocol, on_progress)
    return found if model.engine is None else _by_engine(found, model.engine)


def _by_engine(found: Evaluation, engine: "Engine") -> Evaluation:
    """The same with a line on what ran the network, where that is not torch."""
    record = {"runtime": engine.runtime, "precision": engine.precision}
    said = f"run by {engine.runtime} in {engine.precision}"
    return replace(found, record=found.record | record, lines=(*found.lines, said))


def _score_volumes(
    model: "Model",
    source: DataSource,
    options: VolumeScoring,
    settings: EvaluationSettings,
    protocol: str | None,
    on_progress: OnProgress,
) -> Evaluation:
    from atrous.inference.load import require_volume_model
    from atrous.pipelines.evaluate.volumes import evaluate_volumes
    from atrous.pipelines.predict.volumes import volume_settings

    predictor = require_volume_model(model)
    chosen = volume_settings(
        predictor.facts, memory=options.memory, context=options.context, flip=options.flip
    )
    if settings.class_map is None:
        samples = source.open(model).require("volumes")
    else:
        if settings.html is not None:
            raise DataError(
                "Pages show the network's own classes; expected --html without --class-map; leave "
                "one out."
            )
        samples = source.open_any_classes(model).require("volumes")
    return evaluate_volumes(
        predictor,
        samples,
        protocol or "absent_left_out",
        chosen,
        settings,
        finds_displaced=options.displaced,
        on_progress=on_progress,
    )


def _reading_of(options: ImageScoring | SlideScoring) -> "SlideReading | None":
    from atrous.data.slides.parts import SlideReading

    if isinstance(options, ImageScoring):
        return None
    return SlideReading(
        mpp=options.mpp,
        override_mpp=options.override_mpp,
        image=options.image,
        icc=options.icc,
        frame=options.frame,
    )


def _score_images(
    model: "Model",
    source: DataSource,
    options: ImageScoring | SlideScoring,
    settings: EvaluationSettings,
    protocol: str | None,
    on_progress: OnProgress,
) -> Evaluation:
    """Score masks or labels, whichever the network gives."""
    from atrous.evaluation.class_names import in_network_classes
    from atrous.inference.load import require_photo_model
    from atrous.pipelines.evaluate.labels import check_label_settings, evaluate_labels
    from atrous.pipelines.evaluate.masks import evaluate_masks, scored_card
    from atrous.pipelines.evaluate.slides import evaluate_slides

    predictor = require_photo_model(model)
    if model.card.task == "classification":
        check_label_settings(protocol, settings)
        samples = source.open_any_classes(model).require("labels")
        return evaluate_labels(predictor, samples, settings, on_progress=on_progress)
    protocol = "void_ignored" if protocol is None else protocol
    card = scored_card(predictor.card, protocol, settings.class_map)
    need: Need = "slides" if isinstance(options, SlideScoring) else "masks"
    # Data of other classes may hold any: the map says which of them count.
    if settings.class_map is None:
        opened = source.open(model, _reading_of(options)).require(need)
        samples, note = in_network_classes(opened, card.class_names)
        settings = replace(settings, classes_note=note)
    else:
        samples = source.open_any_classes(model, _reading_of(options)).require(need)
    if isinstance(options, SlideScoring):
        return evaluate_slides(
            predictor,
            samples,
            card,
            protocol,
            options,
            settings,
            on_progress=on_progress,
        )
    return evaluate_masks(predictor, samples, card, protocol, settings, on_progress=on_progress)
