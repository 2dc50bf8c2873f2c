"""From files to predictions: folding, batching, pipelines."""

from atrous.inference.files import FileResult, predict_files
from atrous.inference.folding import fold
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import Predictor, load

__all__ = ["FileResult", "Prediction", "Predictor", "fold", "load", "predict_files"]
