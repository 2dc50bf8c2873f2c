"""One door to every model: a weights file or a shipped name, of photos or of volumes."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from atrous.errors import DataError
from atrous.inference.fold import fold
from atrous.inference.model import Model
from atrous.inference.predictor import Predictor
from atrous.inference.volumes.predictor import VolumePredictor
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights
from atrous.runtimes.engine import Engine, Precision
from atrous.runtimes.open import EXPORTED, Runtime, check_runtime, engine_of, open_exported


def load(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    runtime: Runtime | None = None,
    precision: Precision = "float32",
) -> Model:
    """A model from one weights file, which holds its card: of photos or of volumes, as it says.

    Args:
        path: A weights file, a file that `atrous.export` wrote, or the name of a model that the
            package ships, such as `people`; such a name wins over a file of that name, which is
            meant by a `Path` or `./NAME`.
        device: Where the network runs.
        runtime: What runs it, a name in `atrous.runtimes.open.RUNTIMES`; None for torch, or for
            what the file was exported to.
        precision: In which it computes; `bfloat16` by `openvino` and `compiled`.

    Raises:
        DataError: If the file is not one that `atrous.save`, `atrous.export` or `atrous convert`
            wrote, or the runtime cannot run it.
        UnknownNameError: If a text is neither a path nor the name of a shipped model, or there is
            no such runtime or precision.
        MissingExtraError: If the runtime is not installed.
    """
    file = resolve_weights(path) if isinstance(path, str) else path
    chosen: Runtime = runtime or EXPORTED.get(file.suffix.lower(), "eager")
    check_runtime(chosen, precision, str(device))
    if file.suffix.lower() in EXPORTED:
        model = _exported_model(file, chosen, precision)
    else:
        weights = load_weights(file)
        engine = None
        if chosen != "eager":
            engine = engine_of(
                partial(fold, weights.network),
                weights.card,
                file,
                runtime=chosen,
                precision=precision,
            )
        model = model_of(weights.network, weights.card, device=device, engine=engine)
    model.file = file
    return model


def _exported_model(file: Path, runtime: Runtime, precision: Precision) -> Model:
    """A model run by an exported file; its network, without trained numbers, is for measuring."""
    if EXPORTED[file.suffix.lower()] != runtime:
        raise DataError(
            f"{file} was exported to {EXPORTED[file.suffix.lower()]}; expected that runtime; leave "
            "--runtime out."
        )
    engine = open_exported(file, precision=precision)
    parts = engine.facts.signature.with_parts
    if parts:
        raise DataError(
            f"{file} holds {' and '.join(parts)} besides its network, for programs that have no "
            "atrous; expected one exported without --with; run it by python -m atrous.deploy."
        )
    card = engine.facts.card
    return model_of(build_network(card.network, card.arguments), card, engine=engine)


def model_of(
    network: nn.Module,
    card: Card,
    *,
    device: torch.device | str = "cpu",
    engine: Engine | None = None,
) -> Model:
    """A model from a network in memory and its card.

    Args:
        network: In the form that is trained.
        card: Its card.
        device: Where it runs.
        engine: What runs in its place; the network is then there to be measured.

    Raises:
        DataError: If the card does not fit the network's task.
    """
    kind = Predictor if card.volume is None else VolumePredictor
    return kind(network, card, device=device, engine=engine)


def require_photo_model(model: Model, *, needs_masks: bool = False) -> Predictor:
    """The same model, which is seen to be one of photos.

    Args:
        model: Any.
        needs_masks: Refuse classifiers too.

    Raises:
        DataError: If it is not.
    """
    if not isinstance(model, Predictor):
        raise DataError(
            f"{model.card.name} takes volumes; expected a network for photos; give it scans (.nii, "
            ".nii.gz), or take another file."
        )
    if needs_masks and model.card.task == "classification":
        raise DataError(
            f"{model.card.name} labels whole images; expected a network that gives masks; take "
            "another one."
        )
    return model


def require_volume_model(model: Model) -> VolumePredictor:
    """The same model, which is seen to be one of volumes.

    Raises:
        DataError: If it is not.
    """
    if not isinstance(model, VolumePredictor):
        raise DataError(
            f"{model.card.name} takes photos; expected a network for volumes, whose card says how "
            "scans are prepared; take another file."
        )
    return model
