"""From files to predictions: folding, batching, pipelines."""

from atrous.inference.classification import Classification
from atrous.inference.files import FileResult, classify_files, predict_files
from atrous.inference.folding import fold
from atrous.inference.foreground import foreground_class
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import LabelPredictor, Predictor, load, load_segmenter

__all__ = [
    "Classification",
    "FileResult",
    "LabelPredictor",
    "Prediction",
    "Predictor",
    "classify_files",
    "fold",
    "foreground_class",
    "load",
    "load_segmenter",
    "predict_files",
]
