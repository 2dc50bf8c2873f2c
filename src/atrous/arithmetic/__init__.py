"""What a convolution costs and what it sees, with paper and pencil: no torch, no numpy."""

from atrous.arithmetic.chain import (
    LayerCost,
    ReceptiveField,
    chain_costs,
    check_chain,
    receptive_field,
)
from atrous.arithmetic.conv import ConvSpec
from atrous.arithmetic.dense import FlattenSpec, LinearSpec
from atrous.arithmetic.expression import parse_expression, parse_size
from atrous.arithmetic.gridding import (
    Coverage,
    HDCVerdict,
    coverage,
    dilated_stack,
    hybrid_dilation_rule,
)
from atrous.arithmetic.layer import LayerSpec, activation_bytes
from atrous.arithmetic.pointwise import ActivationSpec, BatchNormSpec
from atrous.arithmetic.pool import PoolSpec
from atrous.arithmetic.replacement import (
    Replacement,
    dense_equivalent,
    depthwise_separable,
    dilated,
)
from atrous.arithmetic.step import Step
from atrous.arithmetic.transposed import TransposedConvSpec
from atrous.arithmetic.upsample import UpsampleSpec
from atrous.arithmetic.working import working

__all__ = [
    "ActivationSpec",
    "BatchNormSpec",
    "ConvSpec",
    "Coverage",
    "FlattenSpec",
    "HDCVerdict",
    "LayerCost",
    "LayerSpec",
    "LinearSpec",
    "PoolSpec",
    "ReceptiveField",
    "Replacement",
    "Step",
    "TransposedConvSpec",
    "UpsampleSpec",
    "activation_bytes",
    "chain_costs",
    "check_chain",
    "coverage",
    "dense_equivalent",
    "depthwise_separable",
    "dilated",
    "dilated_stack",
    "hybrid_dilation_rule",
    "parse_expression",
    "parse_size",
    "receptive_field",
    "working",
]
