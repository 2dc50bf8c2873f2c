"""Convolution units and the blocks made of them, in 2D and 3D."""

from atrous.blocks.anysize import crop_to_size, pad_to_multiple
from atrous.blocks.average import average_pool
from atrous.blocks.conv import (
    Activation,
    ConvNormAct,
    Norm,
    NormAct,
    batch_norm,
    identity,
    prelu,
    relu,
)
from atrous.blocks.conv_bias import ConvBiasAct
from atrous.blocks.conv_shaped import LineConvNormAct, ValidConvNormAct
from atrous.blocks.eesp import (
    DepthwisePyramid,
    EESPBlock,
    StridedEESPBlock,
    dilations_within,
)
from atrous.blocks.esp import (
    DilatedPyramid,
    ESPBlock,
    StridedESPBlock,
    hierarchical_feature_fusion,
)
from atrous.blocks.inception import InceptionBlock, InceptionWidths
from atrous.blocks.inception_v3 import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)
from atrous.blocks.residual import BottleneckBlock, ResidualBlock
from atrous.blocks.response import ResponseNorm
from atrous.blocks.separable import DepthwiseSeparableBlock
from atrous.blocks.shuffle import channel_shuffle
from atrous.blocks.shuffle_v1 import ShuffleV1Block, StridedShuffleV1Block
from atrous.blocks.shuffle_v2 import ShuffleV2Block, StridedShuffleV2Block
from atrous.blocks.vgg import VGGBlock

__all__ = [
    "Activation",
    "BottleneckBlock",
    "ConvBiasAct",
    "ConvNormAct",
    "DepthwisePyramid",
    "DepthwiseSeparableBlock",
    "DilatedPyramid",
    "EESPBlock",
    "ESPBlock",
    "InceptionA",
    "InceptionB",
    "InceptionBlock",
    "InceptionC",
    "InceptionD",
    "InceptionE",
    "InceptionWidths",
    "LineConvNormAct",
    "Norm",
    "NormAct",
    "ResidualBlock",
    "ResponseNorm",
    "ShuffleV1Block",
    "ShuffleV2Block",
    "StridedEESPBlock",
    "StridedESPBlock",
    "StridedShuffleV1Block",
    "StridedShuffleV2Block",
    "VGGBlock",
    "ValidConvNormAct",
    "average_pool",
    "batch_norm",
    "channel_shuffle",
    "crop_to_size",
    "dilations_within",
    "hierarchical_feature_fusion",
    "identity",
    "pad_to_multiple",
    "prelu",
    "relu",
]
