"""Volumes through a network: a mask on each scan's own grid, pictures, maybe a page."""

from pathlib import Path
from typing import TYPE_CHECKING

from atrous._documents import read_json
from atrous.errors import AtrousError, DataError
from atrous.pipelines.predict.options import Context, VolumeOptions
from atrous.pipelines.predict.report import PredictReport, one_line
from atrous.pipelines.progress import OnProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from atrous.data.inputs import Inputs
    from atrous.data.volumes.geometry import Volume
    from atrous.data.volumes.scans import Scan
    from atrous.inference.volumes.predictor import (
        VolumePrediction,
        VolumePredictor,
        VolumeSettings,
    )
    from atrous.networks.preprocessing.volume_spec import VolumeSpec
    from atrous.pipelines.predict.volume_files import ResultFiles


def run_volumes(
    predictor: "VolumePredictor",
    inputs: "Inputs",
    out: Path,
    options: VolumeOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> PredictReport:
    """Run every scan that is not done.

    Args:
        predictor: What is run.
        inputs: Volumes, from which scans are put together by their names.
        out: Folder of the results.
        options: How the scans are run, and what is written.
        overwrite: Do again what is there already.
        on_progress: Called after every part of a scan, and for every scan that cannot be run.

    Raises:
        DataError: If what concerns all is wrong, or the only scan cannot be run.
    """
    from atrous.data.volumes.scans import list_scans
    from atrous.pipelines.predict.volume_files import bids_files, plain_files

    found = list_scans(
        _without_results(inputs.paths, inputs.named, out),
        predictor.facts.channel_names,
        named=inputs.named,
        allow_missing=options.allow_missing,
    )
    scans = found.scans
    places = bids_files(predictor, scans, out) if options.bids else plain_files(scans, out)
    records: dict[str, object] = {}
    errors = {path: one_line(error) for path, error in found.errors.items()}
    _tell(found.left_out, errors, on_progress)
    for scan, place in zip(scans, places, strict=True):
        try:
            records[place.name] = _run(
                predictor, scan, place, options, overwrite=overwrite, on_progress=on_progress
            )
        except AtrousError as error:
            if len(scans) == 1 and not found.errors:
                raise
            errors[scan.path] = one_line(error)
            on_progress(Progress(task=place.name, problem=errors[scan.path]))
    record: dict[str, object] = {"out": str(out), "volumes": records, "errors": _by_text(errors)}
    if found.left_out:
        record["left_out"] = _by_text(found.left_out)
    return PredictReport(
        kind="volumes",
        out=out,
        record=record,
        lines=tuple(_line(name, record) for name, record in records.items()),
        errors=errors,
    )


def _tell(
    left_out: "Mapping[Path, str]", errors: "Mapping[Path, str]", on_progress: OnProgress
) -> None:
    for path, reason in left_out.items():
        on_progress(Progress(task="predict", problem=f"note: {path} is left out: {reason}"))
    for path, reason in errors.items():
        on_progress(Progress(task=path.name, problem=reason))


def _by_text(reasons: "Mapping[Path, str]") -> dict[str, str]:
    return {str(path): reason for path, reason in reasons.items()}


def _without_results(files: "Sequence[Path]", named: "Sequence[Path]", out: Path) -> list[Path]:
    """The files that are not results of an earlier run into a folder inside the input's."""
    inside = out.resolve()
    is_input = any(path.resolve() == inside for path in named)
    return [
        path
        for path in files
        if path in named
        or not (_is_result(path) or (not is_input and path.resolve().is_relative_to(inside)))
    ]


def _is_result(path: "Path") -> bool:
    """Whether a note of ours lies beside a file, as beside every mask that was written."""
    from atrous.data.volumes.names import volume_stem

    stem = volume_stem(path).removesuffix(".probabilities")
    try:
        note = read_json(path.with_name(f"{stem}.json"))
    except (OSError, ValueError):
        return False
    return isinstance(note, dict) and {"run", "context", "volume_ml"} <= note.keys()


def volume_settings(
    facts: "VolumeSpec", *, memory: str | None, context: Context, flip: bool
) -> "VolumeSettings":
    """Settings of the predictor from options.

    Raises:
        DataError: If the memory is no number with a unit, or the network was not trained on
            mirrored scans.
    """
    from atrous.inference.tiles.memory import DEFAULT, parse_memory
    from atrous.inference.volumes.predictor import VolumeSettings

    if flip and not facts.flip_axes:
        raise DataError(
            "--flip was given, but the card names no axis along which scans may be mirrored; "
            "expected a network that was trained with flip; leave it out."
        )
    return VolumeSettings(
        context=context,
        memory=DEFAULT if memory is None else parse_memory(memory),
        flips=facts.flip_axes if flip else (),
    )


def _run(
    predictor: "VolumePredictor",
    scan: "Scan",
    files: "ResultFiles",
    options: VolumeOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> dict[str, object]:
    from atrous.data.volumes.write import write_mask_volume, write_probability_volume
    from atrous.inference.volumes.predictor import file_values

    settings = volume_settings(
        predictor.facts, memory=options.memory, context=options.context, flip=options.flip
    )
    volume = _read(predictor, scan, files, settings, with_probabilities=options.probabilities)
    run = predictor.identify(volume, settings)
    if overwrite:
        files.journal.unlink(missing_ok=True)
    elif files.labels.is_file():
        record = files.read_note(run)
        if files.probabilities.is_file() or not options.probabilities:
            _complete(predictor, volume, files, options)
            # Of a run that was killed with its last file written.
            files.journal.unlink(missing_ok=True)
            return {**record, "was_there": True}

    def advance(done: int, total: int) -> None:
        on_progress(Progress(task=files.name, done=done, total=total))

    prediction = predictor.predict(
        volume,
        settings,
        with_probabilities=options.probabilities,
        journal=files.journal,
        advance=advance,
    )
    _draw(predictor, volume, prediction.mask.numpy(), files, has_page=options.html)
    record = _record(predictor, scan, volume, prediction)
    for note in prediction.notes:
        on_progress(Progress(task=files.name, problem=f"note: {scan.path}: {note}"))
    # Labels are last, so that those of a killed run are never there without the note of their run.
    files.labels.unlink(missing_ok=True)
    files.write_note(run, record)
    if prediction.probabilities is not None:
        write_probability_volume(files.probabilities, prediction.probabilities, volume.geometry)
    write_mask_volume(files.labels, file_values(prediction.mask, predictor.facts), volume.geometry)
    files.journal.unlink(missing_ok=True)
    return {**record, "was_there": False}


def _read(
    predictor: "VolumePredictor",
    scan: "Scan",
    files: "ResultFiles",
    settings: "VolumeSettings",
    *,
    with_probabilities: bool,
) -> "Volume":
    """The scan, after its header says that it can be run, and that no result would replace it."""
    from atrous.data.volumes.read import read_geometry
    from atrous.data.volumes.scans import read_scan
    from atrous.inference.volumes.plan import check_scan_fits

    if any(file and file.resolve() == files.labels.resolve() for file in scan.files):
        raise DataError(
            f"{files.labels} is the scan itself; expected another folder for results; give --out."
        )
    geometry = read_geometry(scan.path)
    check_scan_fits(
        geometry.size,
        geometry.spacing,
        predictor.facts,
        num_classes=len(predictor.card.class_names),
        ceiling=settings.memory,
        with_probabilities=with_probabilities,
    )
    return read_scan(scan, max_bytes=settings.memory)


def _complete(
    predictor: "VolumePredictor", volume: "Volume", files: "ResultFiles", options: VolumeOptions
) -> None:
    """Draw what is wished and not there, of labels that are."""
    from atrous.data.volumes.read import read_mask_volume
    from atrous.inference.volumes.predictor import class_indices

    wished = [files.picture, files.montage, *[files.page] * options.html]
    if not all(path.is_file() for path in wished):
        values = read_mask_volume(files.labels, like=volume.geometry)
        labels = class_indices(values, predictor.facts).numpy()
        _draw(predictor, volume, labels, files, has_page=options.html)


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
    counts = prediction.mask.flatten().bincount(minlength=len(names)).tolist()
    ml = prod(volume.spacing) / 1000
    missing = [
        name
        for name, file in zip(predictor.facts.channel_names, scan.files, strict=False)
        if file is None
    ]
    return {
        "files": [str(file) for file in scan.files if file is not None],
        "channels": _channels_record(predictor, scan),
        "missing": missing,
        "spacing_mm": list(volume.spacing),
        "size": list(volume.geometry.size),
        "context": prediction.plan.kind,
        "parts": len(prediction.plan.parts),
        **_sizes_record(predictor, prediction),
        **({"notes": list(prediction.notes)} if prediction.notes else {}),
        "volume_ml": {
            name: round(count * ml, 4) for name, count in zip(names[1:], counts[1:], strict=True)
        },
    }


def _channels_record(predictor: "VolumePredictor", scan: "Scan") -> dict[str, str | None]:
    """The file of each channel, by the network's names."""
    names = predictor.facts.channel_names
    files = scan.files * len(names) if len(scan.files) == 1 else scan.files
    return {
        name: None if file is None else file.name for name, file in zip(names, files, strict=True)
    }


def _sizes_record(
    predictor: "VolumePredictor", prediction: "VolumePrediction"
) -> dict[str, object]:
    """Which sizes the mean is over, of networks whose card asks for a mean over some."""
    if not predictor.facts.working_sizes:
        return {}
    return {"working_sizes": [list(size) for size in prediction.working_sizes]}


def _line(name: str, record: object) -> str:
    assert isinstance(record, dict)
    volumes = ", ".join(f"{what} {ml:.2f} ml" for what, ml in record["volume_ml"].items())
    how = "done already" if record["was_there"] else f"{record['context']}, {record['parts']} parts"
    missing = f"; without {', '.join(record['missing'])}" if record["missing"] else ""
    is_alone = record.get("working_sizes") == []
    alone = "; without the mean over the card's sizes, which needs the whole scan" * is_alone
    return f"{name}  {volumes}  ({how}{missing}{alone})"
