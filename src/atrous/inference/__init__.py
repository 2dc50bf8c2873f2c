"""From files to predictions: folding, batching, tiles, pipelines."""

from atrous.inference.fold import fold
from atrous.inference.foreground import foreground_class
from atrous.inference.photos import FileResult, classify_files, predict_files
from atrous.inference.prediction import Classification, Prediction
from atrous.inference.predictor import LabelPredictor, Predictor, load, load_segmenter
from atrous.inference.tiles.full_size import FullSize
from atrous.inference.tiles.grid import TileGrid, plan_grid, run_tiled

__all__ = [
    "Classification",
    "FileResult",
    "FullSize",
    "LabelPredictor",
    "Prediction",
    "Predictor",
    "TileGrid",
    "classify_files",
    "fold",
    "foreground_class",
    "load",
    "load_segmenter",
    "plan_grid",
    "predict_files",
    "run_tiled",
]
