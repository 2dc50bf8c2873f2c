"""Segmentation metrics and the published protocols by name."""

from atrous.metrics.bootstrap import bootstrap_mean_iou
from atrous.metrics.confusion import Confusion, confusion_matrix
from atrous.metrics.protocols import PROTOCOLS, ScoringProtocol, score
from atrous.metrics.scores import Scores

__all__ = [
    "PROTOCOLS",
    "Confusion",
    "Scores",
    "ScoringProtocol",
    "bootstrap_mean_iou",
    "confusion_matrix",
    "score",
]
