"""From files to predictions: folding, batching, tiles, pipelines."""

from atrous.inference.fold import fold
from atrous.inference.foreground import foreground_class
from atrous.inference.load import load, model_of
from atrous.inference.model import Model
from atrous.inference.photos import FileResult, predict_files
from atrous.inference.prediction import Classification, Prediction
from atrous.inference.predictor import Predictor
from atrous.inference.tiles.full_size import FullSize
from atrous.inference.tiles.grid import TileGrid, plan_grid
from atrous.inference.tiles.sums import run_tiled

__all__ = [
    "Classification",
    "FileResult",
    "FullSize",
    "Model",
    "Prediction",
    "Predictor",
    "TileGrid",
    "fold",
    "foreground_class",
    "load",
    "model_of",
    "plan_grid",
    "predict_files",
    "run_tiled",
]
