"""The table from op to the rule that carries fields through it.

To teach the analysis a new op of torch, add its name (without `aten::`) and a rule; ops that torch
tags as pointwise need no entry. Ops of others are stated with `atrous.analysis.register`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import torch

from atrous.analysis.fields.call import Call, Op
from atrous.analysis.fields.dependence import Dependence
from atrous.analysis.rules import (
    circular,
    matmul,
    own,
    rearrange,
    recurrent,
    reductions,
    select,
    views,
    windows,
)
from atrous.analysis.rules.pointwise import (
    CONSTANT,
    POINTWISE,
    by_item,
    constant,
    copied,
    filled,
    pointwise,
    random_slopes,
    unknown,
)

Result = Dependence | None | Sequence[Dependence | None]
Rule = Callable[[Call], Result]


RULES: Final[Mapping[str, Rule]] = {
    # windows
    "convolution": windows.convolution,
    **dict.fromkeys(
        [
            *["avg_pool2d", "avg_pool3d", "max_pool2d_with_indices"],
            *["max_pool3d_with_indices"],
        ],
        windows.pool,
    ),
    **dict.fromkeys(
        [
            *["_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"],
            *["adaptive_max_pool3d"],
        ],
        windows.adaptive_pool,
    ),
    "max_unpool2d": windows.unpool,
    "max_unpool3d": windows.unpool,
    **dict.fromkeys(
        [
            *["constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"],
            *["replication_pad1d", "replication_pad2d", "replication_pad3d"],
        ],
        windows.pad,
    ),
    **dict.fromkeys(
        [
            *["upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"],
            *["_upsample_nearest_exact1d", "_upsample_nearest_exact2d"],
            *["_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d"],
            *["upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa"],
            *["_upsample_bicubic2d_aa"],
        ],
        windows.resample,
    ),
    # the same elements elsewhere
    **dict.fromkeys(
        [
            *["clone", "alias", "detach", "_to_copy", "lift_fresh"],
        ],
        views.same,
    ),
    "tril": views.masked,
    "triu": views.masked,
    **dict.fromkeys(
        [
            *["view", "_unsafe_view", "_reshape_alias", "_reshape_copy", "unsqueeze"],
            *["squeeze"],
        ],
        views.view,
    ),
    "unsqueeze_": views.unsqueezed,
    "view_as_real": views.view_as_real,
    "view_as_complex": views.view_as_complex,
    "rrelu_with_noise": random_slopes,
    "permute": views.permute,
    "transpose": views.permute,
    "t": views.permute,
    "expand": views.expand,
    "slice": views.cut,
    "select": views.cut,
    **dict.fromkeys(
        [
            *["split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes"],
            *["unbind"],
        ],
        views.split,
    ),
    "cat": views.join,
    "stack": views.join,
    "flip": circular.flip,
    "roll": circular.roll,
    "rot90": circular.rotate,
    "repeat": circular.repeat,
    "as_strided": views.as_strided,
    "unfold": rearrange.unfold,
    "im2col": rearrange.im2col,
    "col2im": rearrange.col2im,
    "pixel_shuffle": rearrange.pixel_shuffle,
    "pixel_unshuffle": rearrange.pixel_unshuffle,
    "channel_shuffle": rearrange.channel_shuffle,
    "native_channel_shuffle": rearrange.channel_shuffle,
    "copy_": copied,
    "fill": filled,
    "fill_": filled,
    # reductions and normalisation
    **dict.fromkeys(
        [
            *["sum", "mean", "amax", "amin", "max", "min", "prod", "var", "std", "var_mean"],
            *["std_mean", "argmax", "argmin", "logsumexp", "linalg_vector_norm", "norm"],
            *["any", "all", "nansum", "median", "mode", "aminmax", "count_nonzero", "kthvalue"],
        ],
        reductions.reduction,
    ),
    **dict.fromkeys(
        [
            *["_softmax", "_log_softmax", "_safe_softmax", "sort", "topk"],
        ],
        reductions.along_dim,
    ),
    **dict.fromkeys(
        [
            *["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"],
        ],
        reductions.cumulative,
    ),
    **dict.fromkeys(
        [
            *["native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"],
            *["_native_batch_norm_legit", "_native_batch_norm_legit_no_training"],
            *["_batch_norm_with_update", "_batch_norm_no_update"],
        ],
        reductions.batch_norm,
    ),
    "native_group_norm": reductions.group_norm,
    "native_layer_norm": reductions.layer_norm,
    "_fused_rms_norm": reductions.layer_norm,
    "glu": reductions.glu,
    "_fft_r2c": reductions.whole,
    "_fft_c2c": reductions.whole,
    "_fft_c2r": reductions.whole,
    # matrix products and attention
    **dict.fromkeys(
        [
            *["mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"],
        ],
        matmul.matmul,
    ),
    "_trilinear": matmul.trilinear,
    "quantized::linear_dynamic": matmul.packed_linear,
    "quantized::linear_relu_dynamic": matmul.packed_linear,
    **dict.fromkeys(
        [
            *["_scaled_dot_product_flash_attention_for_cpu"],
            *["_scaled_dot_product_flash_attention"],
            *["_scaled_dot_product_efficient_attention"],
            *["_scaled_dot_product_cudnn_attention"],
            *["_scaled_dot_product_fused_attention_overrideable"],
            *["_scaled_dot_product_attention_math"],
        ],
        matmul.scaled_dot_product,
    ),
    "_native_multi_head_attention": matmul.multi_head_attention,
    "_transformer_encoder_layer_fwd": matmul.transformer_layer,
    "mkldnn_rnn_layer": recurrent.lstm_layer,
    # positions chosen by values
    "index_select": select.index,
    "index": select.index,
    "gather": select.gather,
    "embedding": select.embedding,
    **dict.fromkeys(
        [
            *["grid_sampler_2d", "grid_sampler_3d", "roi_align", "roi_pool", "ps_roi_align"],
            *["deform_conv2d", "scatter", "scatter_add", "index_put", "index_add"],
            *["index_copy", "masked_scatter", "take"],
        ],
        select.picked,
    ),
}


_FOREACH_SUMS = ("_foreach_norm", "_foreach_max", "_foreach_powsum")
"""Ops over lists of tensors that reduce each of them; the others work element by element."""

READS_FIRST: Final[frozenset[Rule]] = frozenset(
    [
        *[windows.pool, windows.adaptive_pool, windows.pad, windows.resample],
        *[views.same, views.masked, views.view, views.permute, views.expand, views.cut],
        *[views.split, circular.flip, circular.roll, circular.repeat, circular.rotate],
        *[views.as_strided],
        *[rearrange.unfold, rearrange.im2col, rearrange.col2im, rearrange.pixel_shuffle],
        *[rearrange.pixel_unshuffle, rearrange.channel_shuffle],
        *[reductions.reduction, reductions.along_dim, reductions.cumulative],
        *[reductions.layer_norm, reductions.glu, reductions.whole, matmul.transformer_layer],
    ]
)
"""Rules that follow the first tensor; if another one has the input in it, they prove nothing."""


@lru_cache(maxsize=4096)
def rule_of(func: Op) -> Rule:
    """The rule for an op, pointwise by its tag, or `unknown`."""
    name = op_name(func)
    if name in own.FIELDS:
        return own.FIELDS[name]
    if name in CONSTANT:
        return constant
    if name.startswith("_foreach_") and not name.startswith(_FOREACH_SUMS):
        return by_item
    rule = RULES.get(name) or RULES.get(name.removesuffix("_copy"))
    if rule is not None:
        return rule
    name = name.removesuffix("_")
    if name in RULES:
        return RULES[name]
    if torch.Tag.pointwise in func.tags or name in POINTWISE:
        return pointwise
    packet = getattr(torch.ops.aten, name, None)  # an in-place op may lack the tag of its twin
    if packet is not None and any(
        torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads()
    ):
        return pointwise
    return unknown


@lru_cache(maxsize=4096)
def op_name(func: Op) -> str:
    """Name without namespace for torch's and torchvision's own ops, else with it."""
    name = func._schema.name
    return name.removeprefix("aten::").removeprefix("torchvision::")
