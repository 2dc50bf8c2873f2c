"""Run a model on files of any kind and write the results into a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from atrous._extras import MODULES, check_extra
from atrous.errors import DataError
from atrous.pipelines.predict.options import PhotoOptions, SlideOptions, VolumeOptions
from atrous.pipelines.progress import OnProgress, Progress, ignore
from atrous.types import Kind

if TYPE_CHECKING:
    from atrous.data.inputs import Inputs
    from atrous.inference.model import Model
    from atrous.pipelines.predict.report import PredictReport

Options: TypeAlias = PhotoOptions | SlideOptions | VolumeOptions
_OPTIONS: Final[Mapping[Kind, type[PhotoOptions] | type[SlideOptions] | type[VolumeOptions]]] = {
    "photos": PhotoOptions,
    "slides": SlideOptions,
    "volumes": VolumeOptions,
}


def predict(
    model: "Model | str | Path",
    inputs: "str | Path | Sequence[str | Path]",
    out: str | Path,
    options: Options | None = None,
    *,
    overwrite: bool = False,
    device: str = "cpu",
    on_progress: OnProgress = ignore,
) -> "PredictReport":
    """Run a model on photos, slides or volumes, and write masks, pictures and tables.

    What is done already is not done again; a run that was stopped goes on by the same call. A file
    that cannot be run is named in the report's `errors`, and the rest is done.

    Args:
        model: A model, a weights file, or the name of a shipped model such as `people`.
        inputs: Files and folders of one kind, and patterns of images.
        out: Folder of the results.
        options: What is asked for besides, of the kind that the inputs are.
        overwrite: Do again what is there already.
        device: Where the network runs, unless `model` is loaded already.
        on_progress: Called while it works.

    Raises:
        DataError: If no file can be run, or the options are for another kind of file.

    Example:
        >>> import atrous
        >>> report = atrous.predict("people", "photos", "out")  # doctest: +SKIP
        >>> report.record["images"]["portrait"]["person"]  # doctest: +SKIP
        0.43
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    opened = open_any(model, device)
    found = find(opened, given)
    return predict_found(
        opened, found, Path(out), options, overwrite=overwrite, on_progress=on_progress
    )


def find(model: "Model", names: Sequence[str | Path], *, recursive: bool = False) -> "Inputs":
    """What of the named files a model can be run on.

    Raises:
        DataError: As `find_inputs`.
    """
    from atrous.data.inputs import find_inputs

    return find_inputs(
        names,
        takes_volumes=model.kind == "volumes",
        model=model.card.name,
        recursive=recursive,
    )


def predict_found(
    model: "Model",
    inputs: "Inputs",
    out: Path,
    options: Options | None = None,
    *,
    overwrite: bool = False,
    on_progress: OnProgress = ignore,
) -> "PredictReport":
    """As `predict`, on files that are found already.

    Raises:
        DataError: As `predict`.
    """
    from dataclasses import replace

    if inputs.kind in MODULES:
        check_extra(inputs.kind)
    usual = _OPTIONS[inputs.kind]
    chosen = usual() if options is None else options
    if type(chosen) is not usual:
        raise DataError(
            f"The options are {type(chosen).__name__}, and the files are {inputs.kind}; expected "
            f"{usual.__name__}; give these."
        )
    for path, reason in inputs.left_out.items():
        on_progress(Progress(task="predict", problem=f"note: {path} is left out: {reason}"))
    report = _run(model, inputs, out, chosen, overwrite=overwrite, on_progress=on_progress)
    left_out = report.record.get("left_out", {}) | {
        str(path): reason for path, reason in inputs.left_out.items()
    }
    return replace(report, record={**report.record, **({"left_out": left_out} if left_out else {})})


def _run(
    model: "Model",
    inputs: "Inputs",
    out: Path,
    options: Options,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> "PredictReport":
    from atrous.inference.load import require_photo_model, require_volume_model
    from atrous.pipelines.predict.labels import classify
    from atrous.pipelines.predict.photos import segment
    from atrous.pipelines.predict.slide_names import slide_names
    from atrous.pipelines.predict.slides import run_slides
    from atrous.pipelines.predict.volumes import run_volumes
    from atrous.reports.photos.results import unique_names

    if isinstance(options, VolumeOptions):
        return run_volumes(
            require_volume_model(model),
            inputs,
            out,
            options,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if isinstance(options, SlideOptions):
        segmenter = require_photo_model(model, needs_masks=True)
        return run_slides(
            segmenter,
            slide_names(inputs.paths, out),
            out,
            options,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    names = dict(zip(inputs.paths, unique_names(inputs.paths), strict=True))
    predictor = require_photo_model(model)
    run = classify if model.card.task == "classification" else segment
    return run(predictor, names, out, options, overwrite=overwrite, on_progress=on_progress)


def open_any(model: "Model | str | Path", device: str) -> "Model":
    """The model itself, or the one that a file or a shipped name means.

    Raises:
        DataError: If the file cannot be loaded.
        UnknownNameError: If it is no path and no shipped model.
    """
    from atrous.inference.load import load
    from atrous.pipelines.device import checked_device

    if isinstance(model, str | Path):
        return load(model, device=checked_device(device))
    return model
