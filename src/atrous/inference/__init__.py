"""From files to predictions: folding, batching, tiles, pipelines."""

from atrous.inference.classification import Classification
from atrous.inference.files import FileResult, classify_files, predict_files
from atrous.inference.folding import fold
from atrous.inference.foreground import foreground_class
from atrous.inference.full_size import FullSize
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import LabelPredictor, Predictor, load, load_segmenter
from atrous.inference.tiling import TileGrid, plan_grid, run_tiled

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
