"""Weights of a network for images as a start for the same network for volumes."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from atrous.errors import ShapeError

Filling: TypeAlias = Literal["mean", "centre"]
"""What becomes of a kernel along the depth: equal parts of it in every slice, or all in one."""


def inflate(
    state: Mapping[str, Tensor],
    model: nn.Module,
    *,
    filling: Filling = "mean",
    strict: bool = True,
) -> dict[str, Tensor]:
    """The tensors of a 2D network in the shapes of its 3D form.

    A volume of equal slices then gets in 3D what one slice gets in 2D. With `mean`, every slice of
    a kernel has the same share of the weights: the sum over the depth is right where no padding
    lies under the kernel, that is further from the first and last slice than the receptive field
    reaches. With `centre`, the middle slice of a kernel has all of the weights and the others none:
    right up to the border wherever pools take a maximum, but each slice of the output comes from
    one slice of the input until training changes that.

    Max-pools are right as they are, and so are average pools away from the border. A transposed
    convolution is right if its kernel is a multiple of its stride.

    Args:
        state: State dict of the network built with `spatial_dims=2`.
        model: The network built with `spatial_dims=3`; it is only looked at.
        filling: How a kernel is spread along the depth.
        strict: Whether `state` must have a tensor for every one of the model's; else it may be a
            part of it, such as the encoder.

    Returns:
        What to give to `model.load_state_dict`.

    Raises:
        ShapeError: If the two are not the same network.

    Source: mean: Carreira and Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017.
    """
    target = model.state_dict()
    unmatched = state.keys() ^ target.keys() if strict else state.keys() - target.keys()
    if odd := sorted(unmatched):
        whose = "only in 2D" if odd[0] in state else "only in 3D"
        raise ShapeError(
            f"The two are not the same network: {len(odd)} tensors have no counterpart, the first "
            f"being {odd[0]!r}, which is {whose}; build both with the same arguments."
        )
    transposed = {
        f"{name}.weight": layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.ConvTranspose3d)
    }
    return {
        key: _inflate_tensor(
            key, tensor, target[key].shape, transposed=transposed.get(key), filling=filling
        )
        for key, tensor in state.items()
    }


def _inflate_tensor(
    key: str,
    tensor: Tensor,
    shape: torch.Size,
    *,
    transposed: nn.ConvTranspose3d | None,
    filling: Filling,
) -> Tensor:
    if tensor.shape == shape:
        return tensor.clone()
    if tensor.dim() != 4 or len(shape) != 5 or tensor.shape != (*shape[:2], *shape[3:]):
        raise ShapeError(
            f"The two are not the same network: {key!r} is {tuple(tensor.shape)} in 2D and "
            f"{tuple(shape)} in 3D, where only a depth may be added; build both with the same "
            f"arguments."
        )
    depth = shape[2]
    taps = depth  # how many slices of the kernel add up in one slice of the output
    if transposed is not None:
        stride = transposed.stride[0]
        if depth % stride:
            raise ShapeError(
                f"{key!r} is a transposed convolution of kernel {depth} and stride {stride}, whose "
                f"slices of output get unequal numbers of taps; only multiples can be inflated."
            )
        taps = depth // stride
    repeated = tensor.unsqueeze(2).expand(shape)
    if filling == "mean" or taps == 1:
        return repeated / taps
    if transposed is not None:
        raise ShapeError(
            f"{key!r} is a transposed convolution whose taps overlap: it has no one centre; use "
            f"filling='mean'."
        )
    if depth % 2 == 0:
        raise ShapeError(f"{key!r} has an even depth of {depth}, so no centre; use filling='mean'.")
    filled = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    filled[:, :, depth // 2] = tensor
    return filled
