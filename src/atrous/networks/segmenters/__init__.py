"""Segmenters: any encoder, and what turns its maps into a mask of the image's size."""

from atrous.networks.segmenters.create import SEGMENTERS, create_segmenter
from atrous.networks.segmenters.diagnosis import JointSegmenter
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.networks.segmenters.segnet import SegNet
from atrous.networks.segmenters.steps import EncoderDecoder, SkipEncoderDecoder, Vanilla

__all__ = [
    "SEGMENTERS",
    "EncoderDecoder",
    "JointSegmenter",
    "SegNet",
    "Segmenter",
    "SkipEncoderDecoder",
    "Vanilla",
    "create_segmenter",
]
