"""`atrous evaluate WEIGHTS DATA --layout NAME --protocol NAME`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from atrous.cli.options import THREADS_HELP, Given, with_options
from atrous.pipelines.device import PRECISION_HELP, RUNTIME_HELP
from atrous.pipelines.evaluate.options import ImageScoring, SlideScoring, VolumeScoring

OPTIONS: Final[Mapping[str, type[Any]]] = {
    "images": ImageScoring,
    "slides": SlideScoring,
    "volumes": VolumeScoring,
}
_LAYOUT = typer.Option(
    help="How the folder is laid out: ade20k, binary_folder, brats (or brats_2015, "
    "brats_2017, brats_2023, brats_post_treatment, brats_ped, brats_men_rt), breast_biopsy, "
    "camvid, cityscapes, coco_instances, coco_panoptic, coco_stuff, coco_stuff_only, cvat, "
    "decathlon, image_folder, joint_folder, labelme, mask_folder, nnunet, slides, voc, "
    "volume_folder, yolo_seg."
)
_PROTOCOL = typer.Option(
    help="Whose rules: void_ignored (the default for masks), camvid_published, cityscapes, voc; "
    "top1 for labels; absent_left_out (the default for volumes), brats."
)


@with_options(OPTIONS)
def evaluate(
    weights: Annotated[
        str, typer.Argument(help="A .safetensors file that holds a card, or a shipped model.")
    ],
    data: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[str, _LAYOUT],
    protocol: Annotated[str | None, _PROTOCOL] = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as val.")] = None,
    subset: Annotated[
        Path | None, typer.Option(help="A text file of sample names, one per line: only these.")
    ] = None,
    remap: Annotated[
        str | None,
        typer.Option(help="A class map by which the data's classes are renamed and merged."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Also write a page with pictures; of volumes a FOLDER gets a page for each of the "
            "worst and best cases."
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="FILE.py:FUNCTION of your own network, for weights whose card names it."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    runtime: Annotated[str | None, typer.Option(help=RUNTIME_HELP)] = None,
    precision: Annotated[str, typer.Option(help=PRECISION_HELP)] = "float32",
    threads: Annotated[int | None, typer.Option(help=THREADS_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    *,
    given: Given,
) -> None:
    """Score a network on labelled images, by a protocol that has a name.

    Networks that give masks are scored by IoU, those that give labels by how often the likeliest is
    the true one, those that give both by both where the data has both. Slides and volumes are
    scored whole, in tiles as `predict` runs them.
    """
    from atrous.cli.progress import shown
    from atrous.networks.own import allow_network
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.pipelines.device import open_model
    from atrous.pipelines.evaluate.data import DataSource, kind_of, score
    from atrous.pipelines.threads import use_threads

    keep_freed_memory()
    use_threads(threads)
    allow_network(network or "")
    model = open_model(weights, device=device, runtime=runtime, precision=precision)
    source = DataSource(root=data, layout=layout, split=split, subset=subset, remap=remap)
    options = given.options(kind_of(model, source))
    with shown() as on_progress:
        found = score(model, source, options, protocol=protocol, html=html, on_progress=on_progress)
    typer.echo(found.to_json() if as_json else found)
    if found.page is not None and not as_json:
        typer.echo(f"page: {found.page}")
