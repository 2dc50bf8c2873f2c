"""Segmenters: any encoder, and what turns its maps into a mask of the image's size."""

from atrous.networks.segmenters.catalog import SEGMENTERS, create_segmenter
from atrous.networks.segmenters.encoder_decoder import EncoderDecoder, SkipEncoderDecoder, Vanilla
from atrous.networks.segmenters.joint import JointSegmenter
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.networks.segmenters.segnet import SegNet

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
