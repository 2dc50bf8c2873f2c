"""How much memory the feature maps of a run take, at every moment."""

from collections.abc import Callable, Mapping
from typing import Final
from weakref import ref

from torch import Tensor

from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.rules import op_name


class Ledger:
    """Bytes of the storages that are alive; weights and buffers are not among them.

    A storage is entered when an op returns it for the first time and struck out when the last
    tensor that shares it is gone, as the allocator would.
    """

    def __init__(self) -> None:
        self.live = 0
        self.peak = 0
        self.kept = 0
        self._sizes: dict[int, int] = {}
        self._ends: dict[int, ref[object]] = {}
        self._kept: set[int] = set()
        self._ignored: set[int] = set()

    def ignore(self, tensor: Tensor) -> None:
        """Leave the storage of a weight out of the account; the model keeps it alive."""
        self._ignored.add(tensor.untyped_storage()._cdata)

    def enter(self, tensor: Tensor) -> int:
        """Bytes that this tensor adds: 0 if its storage is known already."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes or key in self._ignored:
            return 0
        size = storage.nbytes()
        self._sizes[key] = size
        self._ends[key] = ref(storage, self._leaver(key))
        self.live += size
        self.peak = max(self.peak, self.live)
        return size

    def work(self, size: int, returned: int) -> None:
        """Memory that a kernel takes while it runs, besides what it returned in the end."""
        self.peak = max(self.peak, self.live - returned + size)

    def _leaver(self, key: int) -> Callable[[object], None]:
        def leave(_: object) -> None:
            self.live -= self._sizes.pop(key)
            del self._ends[key]
            self._kept.discard(key)

        return leave

    def keep(self, tensor: Tensor) -> None:
        """Count a storage as needed by the backward pass, once."""
        key = tensor.untyped_storage()._cdata
        if key not in self._kept and key in self._sizes:
            self._kept.add(key)
            self.kept += self._sizes[key]


def _attention_bytes(tokens: Tensor, heads: int) -> int:
    """Of the fused kernel: the projections before and after they are split, or with all scores."""
    batch, length, width = tokens.shape
    maps = batch * length * width
    scores = batch * heads * length * length
    return max(6 * maps, 3 * maps + scores) * tokens.element_size()


def multi_head_workspace(call: Call) -> int:
    """`nn.MultiheadAttention` in one kernel."""
    return _attention_bytes(call["query"], call["num_head"])


def transformer_workspace(call: Call) -> int:
    """`nn.TransformerEncoderLayer` in one kernel: its attention, or its hidden layer."""
    tokens: Tensor = call["src"]
    maps = tokens.numel() * tokens.element_size()
    hidden = maps // tokens.shape[-1] * call["ffn_weight_1"].shape[0]
    attention = _attention_bytes(tokens, call["num_heads"])
    return max(attention, 2 * maps + hidden) + (maps if call["norm_first"] else 0)


WORKSPACES: Final[Mapping[str, Callable[[Call], int]]] = {
    "_native_multi_head_attention": multi_head_workspace,
    "_transformer_encoder_layer_fwd": transformer_workspace,
}
"""Bytes at the peak of kernels that take memory of their own.

Source: the allocations of torch's kernels on CPUs, as its profiler counts them.
"""

UNMEASURED: Final = frozenset(["mkldnn_rnn_layer"])
"""Ops that keep memory for the backward pass of which the shapes do not tell."""

KEEPS_INPUTS: Final = frozenset(
    [
        *["convolution", "native_batch_norm", "native_layer_norm", "native_group_norm"],
        *["mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "_trilinear"],
        *["mul", "div", "pow", "silu", "gelu", "mish", "hardswish", "hardsigmoid", "softplus"],
        *[
            "leaky_relu",
            "_prelu_kernel",
            "glu",
            "hardtanh",
            "abs",
            "clamp",
            "log",
            "log_sigmoid_forward",
        ],
        *["avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"],
        *["_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"],
        *["_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"],
        *["_scaled_dot_product_efficient_attention", "_native_multi_head_attention"],
        *["mkldnn_rnn_layer"],
        *["_transformer_encoder_layer_fwd", "grid_sampler_2d", "grid_sampler_3d", "where"],
        *["reflection_pad2d", "reflection_pad3d", "replication_pad2d", "replication_pad3d"],
    ]
)
"""Ops whose backward pass reads what went in."""

KEEPS_OUTPUT: Final = frozenset(
    [
        *["relu", "sigmoid", "tanh", "exp", "sqrt", "rsqrt", "elu", "_softmax", "_log_softmax"],
        *[
            "_safe_softmax",
            "mkldnn_rnn_layer",
            "reciprocal",
            "linalg_vector_norm",
            "native_dropout",
        ],
        *["_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"],
        *["_scaled_dot_product_efficient_attention"],
    ]
)
"""Ops whose backward pass reads what came out."""

KEEPS_REST: Final = frozenset(
    [
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
    ]
)
"""Ops whose backward pass reads the second thing that came out."""


def keep_for_backward(ledger: Ledger, call: Call) -> None:
    """Note what the backward pass of an op will need. An estimate: kernels and compilers differ."""
    full_name = op_name(call.func)
    name = full_name.removesuffix("_")
    produced = outputs(call.out)
    if name in KEEPS_INPUTS:
        tensors = [tensor for tensor in call.tensors() if tensor.is_floating_point()]
        if full_name != name and name != "leaky_relu":
            # An op that overwrites what its gradient needs has it copied first.
            ledger.kept += tensors[0].numel() * tensors[0].element_size()
            tensors = tensors[1:]
        for tensor in tensors:
            ledger.keep(tensor)
    if name in KEEPS_OUTPUT and produced:
        ledger.keep(produced[0])
    if name in KEEPS_REST:
        ledger.keep(produced[1])
