"""Multiply-accumulates of one run, by torch's counter and, where that knows no better, by hand."""

from collections.abc import Sequence
from math import prod

import torch
import torchvision  # noqa: F401 - registers an op that is counted by hand
from tests.analysis.fuzz.case import Case, seeded
from tests.analysis.fuzz.oracle import inputs_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


def _deformable(image: Shape, weight: Shape, *_: object, out_shape: Shape, **__: object) -> int:
    """A convolution on sampled values: two operations for each weight and position."""
    return 2 * out_shape[0] * prod(out_shape[2:]) * prod(weight)


def _recurrent(image: Shape, for_input: Shape, for_state: Shape, *_: object, **__: object) -> int:
    """One layer and direction: both weight matrices at each step of each sequence."""
    return 2 * prod(image[:-1]) * (prod(for_input) + prod(for_state))


def _attend(image: Shape, *_: object, **__: object) -> int:
    """Four projections, then tokens with tokens and with values; `(B, L, E)`, all widths E."""
    batch, length, width = image
    return 2 * batch * (4 * length * width**2 + 2 * length**2 * width)


def _encode(image: Shape, *arguments: object, **__: object) -> int:
    """Attention, and two linear layers between `E` and a hidden width at each token."""
    matrices = [a for a in arguments if isinstance(a, tuple) and len(a) == 2][2:]
    return _attend(image) + 2 * image[0] * image[1] * sum(map(prod, matrices))


def _product(matrix: Shape, *_: object, **__: object) -> int:
    """A matrix or vector with a vector: every number once."""
    return 2 * prod(matrix)


def _added_product(added: Shape, matrix: Shape, *_: object, **__: object) -> int:
    """The same, to which something is added."""
    return _product(matrix)


def _trilinear(left: Shape, weight: Shape, *_: object, **__: object) -> int:
    """`nn.Bilinear` on `(B, I)`: each number of the weight, `(O, I, J)`, for each sample."""
    return 2 * left[0] * prod(weight)


BY_HAND = {
    torch.ops.aten.mv: _product,
    torch.ops.aten.dot: _product,
    torch.ops.aten.addmv: _added_product,
    torch.ops.aten._trilinear: _trilinear,
    torch.ops.aten._native_multi_head_attention: _attend,
    torch.ops.aten._transformer_encoder_layer_fwd: _encode,
    torch.ops.torchvision.deform_conv2d: _deformable,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent,
}
"""Operations of what torch's counter leaves out, by shapes."""


def macs(case: Case, inputs: Sequence[Tensor] | None = None) -> int:
    """Multiply-accumulates of one run: the case's own number, else half of torch's count."""
    if case.macs is not None:
        return case.macs
    model = case.build()
    inputs = inputs_of(case.shapes) if inputs is None else inputs
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=BY_HAND) as counter:
        seeded(lambda: model(*inputs))
    return counter.get_total_flops() // 2
