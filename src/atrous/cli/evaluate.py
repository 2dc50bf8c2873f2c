"""`atrous evaluate WEIGHTS DATA --layout NAME --protocol NAME`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atrous.data.catalog import AnyLayout
    from atrous.inference import LabelPredictor, Predictor
    from atrous.inference.volumes.predictor import VolumePredictor
    from atrous.pipelines.evaluate.settings import Terms


_LAYOUT = typer.Option(
    help="How the folder is laid out: ade20k, binary_folder, brats, breast_biopsy, camvid, "
    "cityscapes, coco_panoptic, coco_stuff, coco_stuff_only, decathlon, image_folder, "
    "joint_folder, mask_folder, nnunet, slides, voc, volume_folder."
)
_PROTOCOL = typer.Option(
    help="Whose rules: void_ignored (the default for masks), camvid_published, cityscapes, voc; "
    "top1 for labels; absent_left_out (the default for volumes), brats."
)
_CLASS_MAP = typer.Option(
    help="A class map between the data's classes and the network's: a TOML file, or "
    "cityscapes_on_camvid, imagenet_on_imagenette, voc_on_person."
)

_NOT_OF_IMAGES = ("--memory", "--context", "--tile", "--displaced")


def evaluate(
    weights: Annotated[
        str, typer.Argument(help="A .safetensors file that holds a card, or a shipped model.")
    ],
    data: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[str, _LAYOUT],
    protocol: Annotated[str | None, _PROTOCOL] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as val.")] = None,
    subset: Annotated[
        Path | None, typer.Option(help="A text file of sample names, one a line: only these.")
    ] = None,
    remap: Annotated[
        str | None,
        typer.Option(help="A class map by which the data's classes are renamed and merged."),
    ] = None,
    class_map: Annotated[str | None, _CLASS_MAP] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="The mean with the mirrored image; twice the time.")
    ] = False,
    scales: Annotated[
        str, typer.Option(help="The mean over these factors of the input's size: 0.75,1,1.25.")
    ] = "1",
    html: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with pictures; of volumes a FOLDER gets a page for each of the "
            "worst and best cases."
        ),
    ] = None,
    boundary: Annotated[
        bool,
        typer.Option("--boundary", help="Also score the boundaries, 2 % of the diagonal wide."),
    ] = False,
    displaced: Annotated[
        bool,
        typer.Option(
            "--displaced",
            help="Also tell whose truth would fit better moved by a voxel; of volumes.",
        ),
    ] = False,
    memory: Annotated[
        str | None, typer.Option(help="Ceiling of memory for slides and volumes, such as 4G.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Of tiles of slides and volumes: auto, exact, blended.")
    ] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Side of a tile of slides, pixels; else what fits.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a network on labelled images, by a protocol that has a name.

    Networks that give masks are scored by IoU, those that give labels by how often the likeliest is
    the true one, those that give both by both where the data has both. Slides and volumes are
    scored whole, in tiles as `predict` runs them.
    """
    from atrous._files import check_place
    from atrous.data.catalog import open_layout
    from atrous.data.class_map import read_class_map
    from atrous.inference import load
    from atrous.inference.tta import Averaging
    from atrous.inference.volumes.predictor import load_volume_predictor
    from atrous.networks.shipped import resolve_weights
    from atrous.networks.weights import load_weights
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.pipelines.device import checked_device
    from atrous.pipelines.evaluate.settings import Terms, parse_scales
    from atrous.pipelines.evaluate.volume_pages import check_pages

    keep_freed_memory()
    terms = Terms(
        averaging=Averaging(scales=parse_scales(scales), has_flip=flip),
        class_map=None if class_map is None else read_class_map(class_map),
        remap=remap,
        has_boundary=boundary,
        html=html,
        as_json=as_json,
        memory=memory,
        context=context,
        tile=tile,
        has_displaced=displaced,
    )
    file = resolve_weights(weights)
    is_of_volumes = load_weights(file).card.volume is not None
    if html is not None:
        (check_pages if is_of_volumes else check_place)(html)
    if is_of_volumes:
        _evaluate_volumes(
            load_volume_predictor(file, device=checked_device(device)),
            lambda num_classes: open_layout(
                layout, data, split=split, num_classes=num_classes, subset=subset, remap=remap
            ),
            protocol,
            terms,
        )
        return
    predictor = load(str(weights), device=checked_device(device))
    _evaluate(
        predictor,
        lambda num_classes: open_layout(
            layout,
            data,
            split=split,
            num_classes=num_classes,
            subset=subset,
            remap=remap,
            mpp=predictor.card.mpp,
        ),
        protocol,
        terms,
        weights=file,
    )


def _evaluate_volumes(
    predictor: "VolumePredictor",
    open_samples: "Callable[[int], AnyLayout]",
    protocol: str | None,
    terms: "Terms",
) -> None:
    from atrous.data.catalog import require_volumes
    from atrous.pipelines.evaluate.volumes import evaluate_volumes
    from atrous.pipelines.predict.volumes import volume_options

    terms.check_kind("volumes", unused=("--scales", "--class-map", "--boundary", "--tile"))
    options = volume_options(
        predictor.facts, memory=terms.memory, context=terms.context, flip=terms.averaging.has_flip
    )
    samples = require_volumes(open_samples(len(predictor.card.class_names)))
    evaluate_volumes(
        predictor,
        samples,
        protocol or "absent_left_out",
        options,
        terms,
    )


def _evaluate(
    predictor: "Predictor | LabelPredictor",
    open_samples: "Callable[[int], AnyLayout]",
    protocol: str | None,
    terms: "Terms",
    *,
    weights: Path,
) -> None:
    """Score masks or labels, whichever the network gives.

    Args:
        predictor: The network.
        open_samples: Opens the data; called with the number of classes that masks may hold.
        protocol: A name, or None for the usual one.
        terms: How it is scored besides.
        weights: The file of the network.
    """
    from atrous.data.catalog import require_labels, require_masks
    from atrous.data.dataset import SlideLayout
    from atrous.inference import LabelPredictor
    from atrous.pipelines.evaluate.labels import check_label_terms, evaluate_labels
    from atrous.pipelines.evaluate.masks import evaluate_masks, scored_card
    from atrous.pipelines.evaluate.slides import evaluate_slides
    from atrous.types import UNLABELLED

    if isinstance(predictor, LabelPredictor):
        terms.check_kind("images", unused=_NOT_OF_IMAGES)
        check_label_terms(protocol, terms)
        evaluate_labels(predictor, require_labels(open_samples(UNLABELLED)), terms)
        return
    protocol = "void_ignored" if protocol is None else protocol
    card = scored_card(predictor.card, protocol, terms.class_map)
    # Data of other classes may hold any: the map says which of them count.
    num_classes = len(card.class_names) if terms.class_map is None else UNLABELLED
    samples = require_masks(open_samples(num_classes))
    if isinstance(samples, SlideLayout):
        evaluate_slides(predictor, samples, card, protocol, terms, weights=weights)
        return
    terms.check_kind("images", unused=_NOT_OF_IMAGES)
    evaluate_masks(predictor, samples, card, protocol, terms)
