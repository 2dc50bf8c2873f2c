"""Convolution units and the blocks made of them, in 2D and 3D."""

from atrous.blocks.context import ContextModule
from atrous.blocks.conv import (
    Activation,
    ConvBiasAct,
    ConvNormAct,
    LineConvNormAct,
    Norm,
    NormAct,
    ValidConvNormAct,
    batch_norm,
    identity,
    prelu,
    relu,
)
from atrous.blocks.decoder_level import DecoderLevel, Join, SkipLevel, repeat_to_size
from atrous.blocks.esp.eesp import (
    DepthwisePyramid,
    EESPBlock,
    StridedEESPBlock,
    dilations_within,
)
from atrous.blocks.esp.esp import (
    DilatedPyramid,
    ESPBlock,
    StridedESPBlock,
    hierarchical_feature_fusion,
)
from atrous.blocks.esp.medical import NormedESPBlock, WideESPBlock
from atrous.blocks.gated_conv import GatedConv
from atrous.blocks.inception import InceptionBlock, InceptionWidths
from atrous.blocks.inception_v3 import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)
from atrous.blocks.inverted_residual import InvertedResidualBlock
from atrous.blocks.local_response_norm import LocalResponseNorm
from atrous.blocks.pool import average_pool
from atrous.blocks.pyramids.aspp import AtrousPyramidPooling, SeparableConvNormAct
from atrous.blocks.pyramids.efficient import EfficientPyramidPooling
from atrous.blocks.pyramids.halving import HalvingPyramid, PyramidPooling
from atrous.blocks.pyramids.kernels import KernelPyramid
from atrous.blocks.pyramids.ppm import PyramidPoolingModule
from atrous.blocks.residual import BottleneckBlock, ResidualBlock
from atrous.blocks.resize import (
    BilinearUp,
    crop_to_size,
    double_linear,
    pad_to_multiple,
    pool_to_size,
    resize_linear,
)
from atrous.blocks.separable import DepthwiseSeparableBlock
from atrous.blocks.shuffle.channel_shuffle import channel_shuffle
from atrous.blocks.shuffle.v1 import ShuffleV1Block, StridedShuffleV1Block
from atrous.blocks.shuffle.v2 import ShuffleV2Block, StridedShuffleV2Block
from atrous.blocks.vgg import VGGBlock

__all__ = [
    "Activation",
    "AtrousPyramidPooling",
    "BilinearUp",
    "BottleneckBlock",
    "ContextModule",
    "ConvBiasAct",
    "ConvNormAct",
    "DecoderLevel",
    "DepthwisePyramid",
    "DepthwiseSeparableBlock",
    "DilatedPyramid",
    "EESPBlock",
    "ESPBlock",
    "EfficientPyramidPooling",
    "GatedConv",
    "HalvingPyramid",
    "InceptionA",
    "InceptionB",
    "InceptionBlock",
    "InceptionC",
    "InceptionD",
    "InceptionE",
    "InceptionWidths",
    "InvertedResidualBlock",
    "Join",
    "KernelPyramid",
    "LineConvNormAct",
    "LocalResponseNorm",
    "Norm",
    "NormAct",
    "NormedESPBlock",
    "PyramidPooling",
    "PyramidPoolingModule",
    "ResidualBlock",
    "SeparableConvNormAct",
    "ShuffleV1Block",
    "ShuffleV2Block",
    "SkipLevel",
    "StridedEESPBlock",
    "StridedESPBlock",
    "StridedShuffleV1Block",
    "StridedShuffleV2Block",
    "VGGBlock",
    "ValidConvNormAct",
    "WideESPBlock",
    "average_pool",
    "batch_norm",
    "channel_shuffle",
    "crop_to_size",
    "dilations_within",
    "double_linear",
    "hierarchical_feature_fusion",
    "identity",
    "pad_to_multiple",
    "pool_to_size",
    "prelu",
    "relu",
    "repeat_to_size",
    "resize_linear",
]
