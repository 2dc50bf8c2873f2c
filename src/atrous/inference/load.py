"""One door to every model: a weights file or a shipped name, of photos or of volumes."""

from pathlib import Path

import torch
from torch import nn

from atrous.errors import DataError
from atrous.inference.model import Model
from atrous.inference.predictor import Predictor
from atrous.inference.volumes.predictor import VolumePredictor
from atrous.networks.card import Card
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights


def load(path: str | Path, *, device: torch.device | str = "cpu") -> Model:
    """A model from one weights file, which holds its card: of photos or of volumes, as it says.

    Args:
        path: The file, or the name of a model that the package ships, such as `people`; such a name
            wins over a file of that name, which is meant by a `Path` or `./NAME`.
        device: Where the network runs.

    Raises:
        DataError: If the file is not one that `atrous.save` or `atrous convert` wrote.
        UnknownNameError: If a text is neither a path nor the name of a shipped model.
    """
    file = resolve_weights(path) if isinstance(path, str) else path
    weights = load_weights(file)
    model = model_of(weights.network, weights.card, device=device)
    model.file = file
    return model


def model_of(network: nn.Module, card: Card, *, device: torch.device | str = "cpu") -> Model:
    """A model from a network in memory and its card.

    Raises:
        DataError: If the card does not fit the network's task.
    """
    kind = Predictor if card.volume is None else VolumePredictor
    return kind(network, card, device=device)


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
