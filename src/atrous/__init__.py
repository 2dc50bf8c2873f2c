"""Efficient convolutional networks in computer vision: understand them, run them, measure them.

import atrous

model = atrous.load("people")
model.predict("photo.jpg").shares()  # {"background": 0.57, "person": 0.43}

Every public name is imported when it is first used: `import atrous` itself loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atrous.analysis.effective_field import effective_receptive_field
    from atrous.analysis.halo import halo
    from atrous.analysis.latency import latency
    from atrous.analysis.profile import profile
    from atrous.analysis.receptive_field import receptive_field
    from atrous.data.catalog import open_layout as open_dataset
    from atrous.data.dataset import Dataset, Sample
    from atrous.data.slides.read import Slide
    from atrous.data.volumes.geometry import Volume
    from atrous.errors import AtrousError
    from atrous.inference.load import load
    from atrous.inference.model import Model
    from atrous.inference.prediction import Prediction
    from atrous.networks.card import Card, Score
    from atrous.networks.catalog import create, list_networks
    from atrous.networks.convert import convert_checkpoint as convert
    from atrous.networks.preprocessing.images import Preprocessing
    from atrous.networks.trained import create_encoder
    from atrous.networks.weights import save_weights as save
    from atrous.pipelines.evaluate.data import evaluate
    from atrous.pipelines.explain import explain
    from atrous.pipelines.export import export
    from atrous.pipelines.measure import compare
    from atrous.pipelines.predict.files import predict
    from atrous.pipelines.predict.options import PhotoOptions, SlideOptions, VolumeOptions
    from atrous.pipelines.train import train
    from atrous.training.recipe.recipe import Recipe

    __version__: str

_HOMES = {
    "AtrousError": "atrous.errors",
    "Card": "atrous.networks.card",
    "Dataset": "atrous.data.dataset",
    "Model": "atrous.inference.model",
    "PhotoOptions": "atrous.pipelines.predict.options",
    "Prediction": "atrous.inference.prediction",
    "Preprocessing": "atrous.networks.preprocessing.images",
    "Recipe": "atrous.training.recipe.recipe",
    "Sample": "atrous.data.dataset",
    "Score": "atrous.networks.card",
    "Slide": "atrous.data.slides.read",
    "SlideOptions": "atrous.pipelines.predict.options",
    "Volume": "atrous.data.volumes.geometry",
    "VolumeOptions": "atrous.pipelines.predict.options",
    "compare": "atrous.pipelines.measure",
    "convert": "atrous.networks.convert:convert_checkpoint",
    "create": "atrous.networks.catalog",
    "create_encoder": "atrous.networks.trained",
    "effective_receptive_field": "atrous.analysis.effective_field",
    "evaluate": "atrous.pipelines.evaluate.data",
    "explain": "atrous.pipelines.explain",
    "export": "atrous.pipelines.export",
    "halo": "atrous.analysis.halo",
    "latency": "atrous.analysis.latency",
    "list_networks": "atrous.networks.catalog",
    "load": "atrous.inference.load",
    "open_dataset": "atrous.data.catalog:open_layout",
    "predict": "atrous.pipelines.predict.files",
    "profile": "atrous.analysis.profile",
    "receptive_field": "atrous.analysis.receptive_field",
    "save": "atrous.networks.weights:save_weights",
    "train": "atrous.pipelines.train",
}
"""The module that each public name comes from, and its name there where that is another."""

_ROOMS = frozenset(
    {
        *("analysis", "arithmetic", "blocks", "data", "evaluation", "inference", "metrics"),
        *("networks", "pipelines", "recipes", "reports", "runtimes", "training"),
    }
)
"""Sub-packages, which `import atrous` alone makes reachable too."""

__all__ = [
    "AtrousError",
    "Card",
    "Dataset",
    "Model",
    "PhotoOptions",
    "Prediction",
    "Preprocessing",
    "Recipe",
    "Sample",
    "Score",
    "Slide",
    "SlideOptions",
    "Volume",
    "VolumeOptions",
    "__version__",
    "compare",
    "convert",
    "create",
    "create_encoder",
    "effective_receptive_field",
    "evaluate",
    "explain",
    "export",
    "halo",
    "latency",
    "list_networks",
    "load",
    "open_dataset",
    "predict",
    "profile",
    "receptive_field",
    "save",
    "train",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name is
    if name == "__version__":
        from importlib.metadata import version

        return version("atrous")
    if name in _ROOMS:
        return import_module(f"atrous.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'atrous' has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    value = getattr(import_module(module), there or name)
    globals()[name] = value  # later uses find it at once
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
