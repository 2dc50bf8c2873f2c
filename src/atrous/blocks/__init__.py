"""Convolution units and the blocks made of them, in 2D and 3D."""

from atrous.blocks.anysize import crop_to_size, pad_to_multiple
from atrous.blocks.atrous_pyramid import AtrousPyramidPooling, SeparableConvNormAct
from atrous.blocks.average import average_pool
from atrous.blocks.bilinear_up import BilinearUp
from atrous.blocks.context import ContextModule
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
from atrous.blocks.decoder_level import DecoderLevel, Join, SkipLevel, repeat_to_size
from atrous.blocks.eesp import (
    DepthwisePyramid,
    EESPBlock,
    StridedEESPBlock,
    dilations_within,
)
from atrous.blocks.efficient_pyramid import EfficientPyramidPooling
from atrous.blocks.esp import (
    DilatedPyramid,
    ESPBlock,
    StridedESPBlock,
    hierarchical_feature_fusion,
)
from atrous.blocks.esp_medical import NormedESPBlock, WideESPBlock
from atrous.blocks.gated_conv import GatedConv
from atrous.blocks.grid_pooling import GridPooling
from atrous.blocks.inception import InceptionBlock, InceptionWidths
from atrous.blocks.inception_v3 import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)
from atrous.blocks.kernel_pyramid import KernelPyramid
from atrous.blocks.pyramid_pooling import HalvingPyramid, PyramidPooling
from atrous.blocks.residual import BottleneckBlock, ResidualBlock
from atrous.blocks.resize import double_linear, pool_to_size, resize_linear
from atrous.blocks.response import ResponseNorm
from atrous.blocks.separable import DepthwiseSeparableBlock
from atrous.blocks.shuffle import channel_shuffle
from atrous.blocks.shuffle_v1 import ShuffleV1Block, StridedShuffleV1Block
from atrous.blocks.shuffle_v2 import ShuffleV2Block, StridedShuffleV2Block
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
    "GridPooling",
    "HalvingPyramid",
    "InceptionA",
    "InceptionB",
    "InceptionBlock",
    "InceptionC",
    "InceptionD",
    "InceptionE",
    "InceptionWidths",
    "Join",
    "KernelPyramid",
    "LineConvNormAct",
    "Norm",
    "NormAct",
    "NormedESPBlock",
    "PyramidPooling",
    "ResidualBlock",
    "ResponseNorm",
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
