"""Any model by what a user writes: a name, a weights file, or a file with a function."""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.shipped import SHIPPED, resolve_weights

if TYPE_CHECKING:
    from torch import nn

    from atrous.analysis.tracing.arguments import Given

MODEL_HELP = (
    "A name that `atrous networks` lists, with --weights or without, torchvision:NAME, timm:NAME, "
    "FILE.safetensors, FILE.onnx, or FILE.py:FUNCTION."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model in eval mode, and what to call it.

    Attributes:
        name: As the user wrote it.
        model: Perhaps on the meta device, without weights.
        size: Spatial size its costs are usually quoted at, where that is known.
        is_trained: Whether its weights came from a file with a card.
        inputs: What its forward takes, where its author's function gives that too.
    """

    name: str
    model: "nn.Module"
    size: tuple[int, ...] | None
    is_trained: bool = False
    inputs: "Given | None" = None


def open_model(text: str, *, needs_weights: bool = False, encoder: str | None = None) -> NamedModel:
    """Build or load the model that `text` names.

    Args:
        text: See `MODEL_HELP`.
        needs_weights: Make real tensors (random ones for a bare name), so that it can be run.
        encoder: What a segmenter by name stands on, see `create_encoder`; None for its own.

    Raises:
        UnknownNameError: If nothing has that name.
        ShapeError: If the encoder does not fit, or the model is no segmenter over an encoder.
        DataError: If a file is missing or its function gives no model.
        MissingExtraError: If `timm:` is asked for and timm is not installed.
    """
    if encoder is not None:
        return _over(text, encoder, needs_weights=needs_weights)
    if text.endswith(".safetensors") or text in SHIPPED:
        from atrous.networks.catalog import network_entry
        from atrous.networks.weights import load_weights

        weights = load_weights(resolve_weights(text))
        card = weights.card
        usual = card.preprocessing.size or network_entry(card.network).size
        return NamedModel(name=card.name, model=weights.network, size=usual, is_trained=True)
    if text.endswith((".onnx", ".xml")):
        return _exported(Path(text))
    source, separator, name = text.partition(":")
    if separator and source.endswith(".py"):
        from atrous.networks.own import call_function

        model, inputs = call_function(Path(source), name)
        return NamedModel(name=text, model=_evaluating(model), size=None, inputs=inputs)
    if separator and source in _LIBRARIES:
        build, size = _LIBRARIES[source](name)
    else:
        from atrous.networks.catalog import NETWORKS, network_entry

        if separator or "/" in text or text.endswith((".py", ".pth")):
            raise UnknownNameError(
                "model", text, [*NETWORKS, *SHIPPED, "torchvision:NAME", "FILE.py:FUNCTION"]
            )
        entry = network_entry(text)
        build, size = entry.build, entry.size
    model = build() if needs_weights else _without_weights(build)
    return NamedModel(name=text, model=model.eval(), size=size)


def _exported(path: Path) -> NamedModel:
    """The network that an exported file is a graph of, without its trained numbers."""
    from atrous.networks.catalog import build_network, network_entry
    from atrous.runtimes.open import open_exported

    card = open_exported(path).facts.card
    network = build_network(card.network, card.arguments).eval()
    usual = card.preprocessing.size or network_entry(card.network).size
    return NamedModel(name=card.name, model=network, size=usual)


def _over(text: str, encoder: str, *, needs_weights: bool) -> NamedModel:
    """A segmenter by name over an encoder by name."""
    from atrous.networks.catalog import network_entry
    from atrous.networks.segmenters import SEGMENTERS, create_segmenter

    if text not in SEGMENTERS:
        raise ShapeError(
            f"{text} stands on no encoder that could be replaced by {encoder}; leave out the "
            f"encoder, or name only segmenters over one: {', '.join(SEGMENTERS)}."
        )
    build = partial(create_segmenter, text, encoder=encoder)
    model = build() if needs_weights else _without_weights(build)
    return NamedModel(
        name=f"{text} over {encoder}", model=model.eval(), size=network_entry(text).size
    )


def _without_weights(build: "Callable[[], nn.Module]") -> "nn.Module":
    """The model on the meta device; with weights where its constructor reads its own numbers."""
    import torch

    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, NotImplementedError):
        return build()


def _torchvision(name: str) -> "tuple[Callable[[], nn.Module], tuple[int, ...] | None]":
    from torchvision import models

    if name not in models.list_models():
        raise UnknownNameError("torchvision model", name, models.list_models())
    on_backbone = (models.segmentation, models.detection)
    has_backbone = any(name in models.list_models(module=kind) for kind in on_backbone)
    arguments = {"weights_backbone": None} if has_backbone else {}

    def build() -> "nn.Module":
        with warnings.catch_warnings():
            # Some constructors announce what torchvision will do one day with random weights.
            warnings.simplefilter("ignore", FutureWarning)
            return models.get_model(name, weights=None, **arguments)

    return build, None


def _timm(name: str) -> "tuple[Callable[[], nn.Module], tuple[int, ...] | None]":
    from atrous._extras import require

    timm = require("timm", extra="zoo")
    if not timm.is_model(name.partition(".")[0]):
        raise UnknownNameError("timm model", name, timm.list_models())
    size = timm.get_pretrained_cfg(name).input_size[1:] if timm.is_model_pretrained(name) else None
    return lambda: timm.create_model(name, pretrained=False), size


_LIBRARIES = {"torchvision": _torchvision, "timm": _timm}


def _evaluating(model: "nn.Module") -> "nn.Module":
    """The model in evaluation mode; modules of exported programs are, and refuse to be set."""
    with contextlib.suppress(NotImplementedError):
        model.eval()
    return model
