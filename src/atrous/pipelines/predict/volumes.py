"""What `predict` does with volumes: labels on each scan's own grid, pictures, maybe a page."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atrous.errors import AtrousError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from atrous.data.volumes.geometry import Volume
    from atrous.data.volumes.scans import Scan
    from atrous.inference.volumes.predictor import (
        VolumeOptions,
        VolumePrediction,
        VolumePredictor,
    )
    from atrous.networks.preprocessing.volume_spec import VolumeFacts
    from atrous.pipelines.predict.volume_files import ResultFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeWishes:
    """What the command line says about volumes.

    Attributes:
        memory: Ceiling, such as 2G.
        context: auto, exact or blended.
        flip: Mirror along all axes and take the mean.
        allow_missing: Missing channels are zero.
        html: Also a page for each scan.
        bids: Names and descriptions of a BIDS derivative data set.
        overwrite: Do again what is there already.
        as_json: Print a record instead of lines.
    """

    memory: str | None = None
    context: str = "auto"
    flip: bool = False
    allow_missing: bool = False
    html: bool = False
    bids: bool = False
    overwrite: bool = False
    as_json: bool = False


def are_volumes(images: "Sequence[str]") -> bool:
    """Whether volumes are named, or folders that hold such.

    Raises:
        DataError: If there are volumes and other files.
    """
    from atrous.data.volumes.scans import volume_files

    found = [name for name in images if volume_files([name])]
    if found and len(found) < len(images):
        other = next(name for name in images if name not in found)
        raise DataError(
            f"{found[0]} is a volume and {other} is none; expected one kind; name them in two "
            "commands."
        )
    return bool(found)


def run_volumes(
    model: str, images: "Sequence[str]", out: Path, wishes: VolumeWishes, *, device: str
) -> None:
    """Run every scan that is not done, and report; exit code 1 if one could not be run.

    Raises:
        DataError: If what concerns all is wrong, or the only scan cannot be run.
    """
    from atrous.data.volumes.scans import list_scans, volume_files
    from atrous.inference.volumes.predictor import load_volume_predictor
    from atrous.networks.shipped import resolve_weights
    from atrous.pipelines.device import checked_device
    from atrous.pipelines.predict.volume_files import bids_files, plain_files

    predictor = load_volume_predictor(resolve_weights(model), device=checked_device(device))
    channels = predictor.facts.channel_names
    scans = list_scans(volume_files(images), channels, allow_missing=wishes.allow_missing)
    places = bids_files(predictor, scans, out) if wishes.bids else plain_files(scans, out)
    records: dict[str, object] = {}
    errors: dict[str, str] = {}
    for scan, files in zip(scans, places, strict=True):
        try:
            records[files.name] = _run(predictor, scan, files, wishes)
        except AtrousError as error:
            if len(scans) == 1:
                raise
            errors[str(scan.path)] = " ".join(str(error).split())
            typer.echo(f"atrous: {errors[str(scan.path)]}", err=True)
            continue
        if not wishes.as_json:
            typer.echo(_line(files.name, records[files.name]))
    if wishes.as_json:
        record = {"out": str(out), "volumes": records, "errors": errors}
        typer.echo(json.dumps(record, indent=1))
    if errors:
        raise typer.Exit(1)


def volume_options(
    facts: "VolumeFacts", *, memory: str | None, context: str, flip: bool
) -> "VolumeOptions":
    """Options of the predictor from those of the command.

    Raises:
        DataError: If the memory is no number with a unit, or the network was not trained on
            mirrored scans.
        UnknownNameError: If there is no such context.
    """
    from typing import get_args

    from atrous.errors import UnknownNameError
    from atrous.inference.tiles.memory import DEFAULT, parse_memory
    from atrous.inference.volumes.plan import VolumeContext
    from atrous.inference.volumes.predictor import VolumeOptions

    wish = next((known for known in get_args(VolumeContext) if known == context), None)
    if wish is None:
        raise UnknownNameError("context", context, get_args(VolumeContext))
    if flip and not facts.flip_axes:
        raise DataError(
            "--flip was given, but the card names no axis along which scans may be mirrored; "
            "expected a network that was trained with flip; leave it out."
        )
    return VolumeOptions(
        context=wish,
        memory=DEFAULT if memory is None else parse_memory(memory),
        flips=facts.flip_axes if flip else (),
    )


def _run(
    predictor: "VolumePredictor", scan: "Scan", files: "ResultFiles", wishes: VolumeWishes
) -> dict[str, object]:
    from atrous.data.volumes.scans import read_scan
    from atrous.data.volumes.write import write_label_volume
    from atrous.inference.volumes.predictor import file_values

    options = volume_options(
        predictor.facts, memory=wishes.memory, context=wishes.context, flip=wishes.flip
    )
    volume = read_scan(scan)
    if any(file and file.resolve() == files.labels.resolve() for file in scan.files):
        raise DataError(
            f"{files.labels} is the scan itself; expected another folder for results; give --out."
        )
    run = predictor.identify(volume, options)
    if wishes.overwrite:
        files.journal.unlink(missing_ok=True)
    elif files.labels.is_file():
        record = files.read_note(run)
        _complete(predictor, volume, files, wishes)
        files.journal.unlink(missing_ok=True)  # of a run that was killed with its last file written
        return {**record, "was_there": True}
    prediction = predictor.predict(volume, options, journal=files.journal)
    _draw(predictor, volume, prediction.labels.numpy(), files, has_page=wishes.html)
    record = _record(predictor, scan, volume, prediction)
    # Labels are last, so that those of a killed run are never there without the note of their run.
    files.labels.unlink(missing_ok=True)
    files.write_note(run, record)
    write_label_volume(
        files.labels, file_values(prediction.labels, predictor.facts), volume.geometry
    )
    files.journal.unlink(missing_ok=True)
    return {**record, "was_there": False}


def _complete(
    predictor: "VolumePredictor", volume: "Volume", files: "ResultFiles", wishes: VolumeWishes
) -> None:
    """Draw what is wished and not there, of labels that are."""
    from atrous.data.volumes.read import read_label_volume
    from atrous.inference.volumes.predictor import class_indices

    wished = [files.picture, files.montage, *[files.page] * wishes.html]
    if not all(path.is_file() for path in wished):
        values = read_label_volume(files.labels, like=volume.geometry)
        labels = class_indices(values, predictor.facts).numpy()
        _draw(predictor, volume, labels, files, has_page=wishes.html)


def _draw(
    predictor: "VolumePredictor",
    volume: "Volume",
    labels: "NDArray[np.uint8]",
    files: "ResultFiles",
    *,
    has_page: bool,
) -> None:
    from atrous._files import write_atomically, write_text
    from atrous.pipelines.provenance import facts
    from atrous.reports.volumes.page import volume_page
    from atrous.reports.volumes.picture import montage, three_planes
    from atrous.reports.volumes.viewer import ShownCase

    card = predictor.card
    for path, draw in ((files.picture, three_planes), (files.montage, montage)):
        picture = draw(
            volume.array[0],
            labels,
            spacing=volume.spacing,
            names=card.class_names,
            palette=card.palette,
        )
        with write_atomically(path) as file:
            picture.save(file, format="PNG")
    if has_page:
        case = ShownCase(
            name=files.name, values=volume.array, labels=labels, spacing=volume.spacing
        )
        page = volume_page(
            case, card=card, channel_names=predictor.facts.channel_names, facts=facts()
        )
        write_text(files.page, page)


def _record(
    predictor: "VolumePredictor", scan: "Scan", volume: "Volume", prediction: "VolumePrediction"
) -> dict[str, object]:
    from math import prod

    names = predictor.card.class_names
    counts = prediction.labels.flatten().bincount(minlength=len(names)).tolist()
    ml = prod(volume.spacing) / 1000
    missing = [
        name
        for name, file in zip(predictor.facts.channel_names, scan.files, strict=False)
        if file is None
    ]
    return {
        "files": [str(file) for file in scan.files if file is not None],
        "missing": missing,
        "spacing_mm": list(volume.spacing),
        "size": list(volume.geometry.size),
        "context": prediction.plan.kind,
        "parts": len(prediction.plan.parts),
        "volume_ml": {
            name: round(count * ml, 4) for name, count in zip(names[1:], counts[1:], strict=True)
        },
    }


def _line(name: str, record: object) -> str:
    assert isinstance(record, dict)
    volumes = ", ".join(f"{what} {ml:.2f} ml" for what, ml in record["volume_ml"].items())
    how = "done already" if record["was_there"] else f"{record['context']}, {record['parts']} parts"
    missing = f"; without {', '.join(record['missing'])}" if record["missing"] else ""
    return f"{name}  {volumes}  ({how}{missing})"
