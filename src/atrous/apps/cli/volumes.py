"""What `predict` does with volumes: labels on the scan's own grid, and a picture, of each scan."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atrous.errors import AtrousError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atrous.data.scan_listing import Scan
    from atrous.data.volume import Volume
    from atrous.inference.volume_predictor import (
        VolumeOptions,
        VolumePrediction,
        VolumePredictor,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeWishes:
    """What the command line says about volumes.

    Attributes:
        memory: Ceiling, such as 2G.
        context: auto, exact or blended.
        flip: Mirror along all axes and take the mean.
        allow_missing: Missing channels are zero.
        overwrite: Do again what is there already.
        as_json: Print a record instead of lines.
    """

    memory: str | None = None
    context: str = "auto"
    flip: bool = False
    allow_missing: bool = False
    overwrite: bool = False
    as_json: bool = False


def are_volumes(images: "Sequence[str]") -> bool:
    """Whether volumes are named, or folders that hold such.

    Raises:
        DataError: If there are volumes and other files.
    """
    from atrous.data.scan_listing import volume_files

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
    from atrous._files import make_folder
    from atrous.apps.cli.device import checked_device
    from atrous.data.scan_listing import list_scans, volume_files
    from atrous.inference.volume_predictor import load_volume_predictor
    from atrous.networks.shipped import resolve_weights

    predictor = load_volume_predictor(resolve_weights(model), device=checked_device(device))
    channels = predictor.facts.channel_names
    scans = list_scans(volume_files(images), channels, allow_missing=wishes.allow_missing)
    names = _names(scans)
    make_folder(out)
    records: dict[str, object] = {}
    errors: dict[str, str] = {}
    for scan, name in zip(scans, names, strict=True):
        try:
            records[name] = _run(predictor, scan, out / name, wishes)
        except AtrousError as error:
            if len(scans) == 1:
                raise
            errors[str(scan.path)] = " ".join(str(error).split())
            typer.echo(f"atrous: {errors[str(scan.path)]}", err=True)
            continue
        if not wishes.as_json:
            typer.echo(_line(name, records[name]))
    if wishes.as_json:
        record = {"out": str(out), "volumes": records, "errors": errors}
        typer.echo(json.dumps(record, indent=1))
    if errors:
        raise typer.Exit(1)


def volume_options(*, memory: str | None, context: str, flip: bool) -> "VolumeOptions":
    """Options of the predictor from those of the command.

    Raises:
        DataError: If the memory is no number with a unit.
        UnknownNameError: If there is no such context.
    """
    from typing import get_args

    from atrous.errors import UnknownNameError
    from atrous.inference.memory_ceiling import DEFAULT, parse_memory
    from atrous.inference.volume_plan import VolumeContext
    from atrous.inference.volume_predictor import VolumeOptions

    wish = next((known for known in get_args(VolumeContext) if known == context), None)
    if wish is None:
        raise UnknownNameError("context", context, get_args(VolumeContext))
    return VolumeOptions(
        context=wish,
        memory=DEFAULT if memory is None else parse_memory(memory),
        flips=(0, 1, 2) if flip else (),
    )


def _names(scans: "Sequence[Scan]") -> list[str]:
    """Names of results, told apart by their folder where they are alike.

    Raises:
        DataError: If two are alike still.
    """
    alone = [scan.name for scan in scans]
    names = [
        name if alone.count(name) == 1 else f"{scan.path.parent.name}-{name}"
        for name, scan in zip(alone, scans, strict=True)
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"Two scans would both be called {twice!r}; expected names that differ; run them into "
            "two folders."
        )
    return names


def _run(
    predictor: "VolumePredictor", scan: "Scan", stem: Path, wishes: VolumeWishes
) -> dict[str, object]:
    from atrous._files import write_text
    from atrous.data.scan_listing import read_scan
    from atrous.data.volume_file import write_label_volume
    from atrous.inference.volume_predictor import file_values

    options = volume_options(memory=wishes.memory, context=wishes.context, flip=wishes.flip)
    volume = read_scan(scan)
    labels_path, note = Path(f"{stem}.nii.gz"), Path(f"{stem}.json")
    journal = Path(f"{stem}.part.npz")
    if any(file is not None and file.resolve() == labels_path.resolve() for file in scan.files):
        raise DataError(
            f"{labels_path} is the scan itself; expected another folder for results; give --out."
        )
    run = predictor.identify(volume, options)
    if wishes.overwrite:
        journal.unlink(missing_ok=True)
    elif labels_path.is_file():
        return _kept(labels_path, note, run)
    prediction = predictor.predict(volume, options, journal=journal)
    write_label_volume(
        labels_path, file_values(prediction.labels, predictor.facts), volume.geometry
    )
    _draw(predictor, volume, prediction, stem)
    record = _record(predictor, scan, volume, prediction)
    # The note is last: a result without it is not whole.
    write_text(note, json.dumps({"run": run, **record}, indent=1) + "\n")
    journal.unlink(missing_ok=True)
    return {**record, "was_there": False}


def _kept(labels: Path, note: Path, run: str) -> dict[str, object]:
    """The record of a result that is there, if it is this very one."""
    try:
        record = json.loads(note.read_text(encoding="utf-8"))
        found = record.pop("run")
    except (OSError, ValueError, KeyError, AttributeError):
        found, record = None, {}
    if found != run:
        raise DataError(
            f"{labels} is there already, of another run or by someone else; expected none, or the "
            "one of this scan, model and options; give another folder, or --overwrite."
        )
    return {**record, "was_there": True}


def _draw(
    predictor: "VolumePredictor", volume: "Volume", prediction: "VolumePrediction", stem: Path
) -> None:
    from atrous._files import write_atomically
    from atrous.reports.volume_picture import three_planes

    picture = three_planes(
        volume.array[0],
        prediction.labels.numpy(),
        spacing=volume.spacing,
        names=predictor.card.class_names,
        palette=predictor.card.palette,
    )
    with write_atomically(Path(f"{stem}.png")) as file:
        picture.save(file, format="PNG")


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
