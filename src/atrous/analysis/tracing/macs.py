"""Multiply-accumulates of every op that has any.

Counted as torchvision and most papers do: products that are summed, in convolutions, matrix
products and attention. Element-wise arithmetic, pooling, interpolation, normalisation and
activations count nothing.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Final

from torch import Tensor

from atrous.analysis.fields.call import Call, Op
from atrous.analysis.rules import op_name, own, rule_of
from atrous.analysis.rules.pointwise import unknown

Rule = Callable[[Call], int]


def convolution(call: Call) -> int:
    """Each output sums over a kernel; a transposed one spreads each input over a kernel."""
    weight: Tensor = call["weight"]
    out: Tensor = call.out
    per_position = weight.numel()  # all outputs of one position: C_out * C_in / groups * kernel
    image: Tensor = call["input"]
    grid = image if call["transposed"] else out
    return grid.shape[0] * prod(grid.shape[2:]) * per_position


def matmul(call: Call) -> int:
    """The last two tensors are multiplied; an added one costs nothing."""
    tensors = [a for a in call.args if isinstance(a, Tensor)]
    left, right = tensors[-2:]
    if left.ndim == 3 and call.func._schema.name.startswith("aten::addbmm"):
        return left.numel() * right.shape[-1]
    if right.ndim == 1:
        return left.numel()
    return left.numel() * right.shape[-1]


def outer(call: Call) -> int:
    """`addr`: every element of one vector with every element of the other."""
    return call["vec1"].numel() * call["vec2"].numel()


def attention(call: Call) -> int:
    """Queries with keys, then weights with values."""
    query, key, value = call["query"], call["key"], call["value"]
    *heads, length, width = query.shape
    return prod(heads) * length * key.shape[-2] * (width + value.shape[-1])


def _attend_tokens(batch: int, query: int, key: int, width: int) -> int:
    """Four projections and the two products of one attention layer whose widths are all equal."""
    projections = batch * width * width * (2 * query + 2 * key)
    return projections + 2 * batch * query * key * width


def multi_head_attention(call: Call) -> int:
    """`nn.MultiheadAttention` in one kernel."""
    batch, length, width = call["query"].shape
    return _attend_tokens(batch, length, call["key"].shape[1], width)


def transformer_layer(call: Call) -> int:
    """`nn.TransformerEncoderLayer` in one kernel: attention and two linear layers."""
    batch, length, width = call["src"].shape
    hidden = call["ffn_weight_1"].numel() + call["ffn_weight_2"].numel()
    return _attend_tokens(batch, length, length, width) + batch * length * hidden


def trilinear(call: Call) -> int:
    """`nn.Bilinear`: every output sums over pairs of inputs."""
    sizes = []
    for i in (1, 2, 3):
        shape = list(call[f"i{i}"].shape)
        for dim in sorted(call[f"expand{i}"]):
            shape.insert(dim, 1)
        sizes.append(shape)
    return prod(max(column) for column in zip(*sizes, strict=True))


def recurrent_layer(call: Call) -> int:
    """One layer and direction of an LSTM or GRU: two matrix products a step."""
    image: Tensor = call["input"]
    steps = image.numel() // image.shape[-1]
    return steps * (call["weight0"].numel() + call["weight1"].numel())


def distances(call: Call) -> int:
    """`cdist`: a difference, multiplied with itself and summed, for every pair."""
    a, b = call["x1"], call["x2"]
    return a.numel() * b.shape[-2]


def packed_linear(call: Call) -> int:
    """A linear layer whose weights are packed for an integer kernel."""
    image: Tensor = call["X"]
    return int(call.out.numel() * image.shape[-1])


def deformable(call: Call) -> int:
    """`torchvision.ops.deform_conv2d`: the convolution, without the sampling before it."""
    out: Tensor = call.out
    return out.shape[0] * prod(out.shape[2:]) * call["weight"].numel()


RULES: Final[Mapping[str, Rule]] = {
    "convolution": convolution,
    "mm": matmul,
    "addmm": matmul,
    "bmm": matmul,
    "baddbmm": matmul,
    "addbmm": matmul,
    "mv": matmul,
    "addmv": matmul,
    "dot": matmul,
    "vdot": matmul,
    "addr": outer,
    "_trilinear": trilinear,
    "_cdist_forward": distances,
    "_euclidean_dist": distances,
    "mkldnn_rnn_layer": recurrent_layer,
    "deform_conv2d": deformable,
    "quantized::linear_dynamic": packed_linear,
    "quantized::linear_relu_dynamic": packed_linear,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
    "_scaled_dot_product_attention_math": attention,
    "_native_multi_head_attention": multi_head_attention,
    "_transformer_encoder_layer_fwd": transformer_layer,
}

UNCOUNTED: Final = frozenset({"_fft_r2c", "_fft_c2c", "_fft_c2r"})
"""Ops whose fields are known but whose products are not counted."""

FREE: Final = frozenset(
    [
        *["_local_scalar_dense", "nonzero", "masked_select", "is_same_size", "item", "unique_dim"],
        *["_unique2", "unique_consecutive", "bincount", "histc", "searchsorted", "bucketize"],
        *["affine_grid_generator", "one_hot", "diagonal", "diag_embed", "view_as_complex"],
        *["nms", "fractional_max_pool2d", "fractional_max_pool3d", "resize_", "set_", "trace"],
        *["_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "unsqueeze_", "squeeze_", "transpose_"],
        *[
            "t_",
            "lift",
            "_assert_async",
            "_assert_scalar",
            "_assert_tensor_metadata",
            "select_scatter",
        ],
        *["slice_scatter", "diagonal_scatter", "index_reduce", "scatter_reduce", "scatter_reduce_"],
        *[
            "tril_indices",
            "triu_indices",
            "multinomial",
            "complex",
            "_embedding_bag",
            "record_stream",
        ],
        *["view_as_real", "_weight_norm_interface", "_fused_moving_avg_obs_fq_helper"],
        *["fake_quantize_per_tensor_affine_cachemask", "_record_function_exit"],
        *["fake_quantize_per_channel_affine_cachemask", "_record_function_enter_new"],
        *["fake_quantize_per_tensor_affine_cachemask_tensor_qparams", "_record_function_enter"],
        *["_fake_quantize_learnable_per_tensor_affine", "nll_loss_forward", "mse_loss"],
        *["_fake_quantize_learnable_per_channel_affine", "nll_loss2d_forward", "huber_loss"],
        *["smooth_l1_loss", "l1_loss", "binary_cross_entropy", "soft_margin_loss"],
        *["binary_cross_entropy_with_logits", "multi_margin_loss", "_ctc_loss"],
        *["multilabel_margin_loss_forward", "kl_div", "repeat_interleave", "renorm"],
        *["_pad_enum", "pad_sequence", "isin", "frobenius_norm", "_histogramdd_bin_edges"],
        *["diff", "unfold_copy", "movedim", "tensor_split", "quantile", "nanmedian"],
        *["max_pool2d_with_indices_backward", "detach_", "requires_grad_", "_unsafe_index"],
    ]
)
"""Ops without a field rule that multiply and sum nothing."""


@lru_cache(maxsize=4096)
def cost_of(func: Op) -> Rule | bool:
    """The rule for an op; True if it is known to cost nothing, False if that is not known."""
    name = op_name(func)
    base = name.removesuffix("_")
    if name in own.COSTS:
        return own.COSTS[name]
    if base in RULES:
        return RULES[base]
    if name in UNCOUNTED:
        return False
    if base.startswith("_foreach_") or name.startswith("profiler::"):
        return (
            True  # lists of tensors are taken element by element; profiling marks compute nothing
        )
    return name in FREE or base in FREE or rule_of(func) is not unknown
