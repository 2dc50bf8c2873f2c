"""Segmentation metrics and the published protocols by name."""

from atrous.metrics.bootstrap import bootstrap_mean_iou
from atrous.metrics.boundary import boundary_counts, boundary_iou, boundary_width, inner_boundary
from atrous.metrics.confusion import Confusion, confusion_matrix
from atrous.metrics.iou import Scores
from atrous.metrics.protocols import PROTOCOLS, ScoringProtocol, check_protocol, score
from atrous.metrics.volume_summary import Summary, summarise
from atrous.metrics.volumes import VOLUME_PROTOCOLS, RegionScore, class_regions, score_case

__all__ = [
    "PROTOCOLS",
    "VOLUME_PROTOCOLS",
    "Confusion",
    "RegionScore",
    "Scores",
    "ScoringProtocol",
    "Summary",
    "bootstrap_mean_iou",
    "boundary_counts",
    "boundary_iou",
    "boundary_width",
    "check_protocol",
    "class_regions",
    "confusion_matrix",
    "inner_boundary",
    "score",
    "score_case",
    "summarise",
]
