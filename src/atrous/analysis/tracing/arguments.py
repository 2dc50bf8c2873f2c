"""What a model is called with: tensors alone, or nested in what its forward pass takes."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from atrous.analysis.tracing.fake import image_shape, input_dtype
from atrous.errors import AtrousError, ShapeError

Given: TypeAlias = Tensor | Sequence[Any] | Mapping[str, Any]
"""One tensor; the positional arguments of `forward` in order, or one list if that is what it takes;
or its arguments by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """Positional and keyword arguments of one call of `forward`.

    Attributes:
        args: By position; tensors may lie in lists, tuples and dictionaries.
        kwargs: By name.
        tensors: Every tensor among them, in that order.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: tuple[Tensor, ...]

    def replaced(self, tensors: Sequence[Tensor]) -> "Arguments":
        """The same call with other tensors in the places of these."""
        leaves, spec = pytree.tree_flatten((self.args, self.kwargs))
        new = iter(tensors)
        leaves = [next(new) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(leaves, spec)
        return Arguments(args, kwargs, tuple(tensors))

    def lengths(self, source: int = 0) -> tuple[int, ...]:
        """Spatial lengths of one tensor, `(B, C, *S)`; none for class indices and vectors."""
        tensor = self.tensors[source]
        return tuple(tensor.shape[2:]) if tensor.is_floating_point() else ()


def as_arguments(
    model: nn.Module,
    size: Sequence[int],
    *,
    in_channels: int | None,
    inputs: Given | None,
    batch_size: int = 1,
) -> Arguments:
    """The call for an image of `size`, or for the inputs the caller gave.

    Raises:
        ShapeError: If a size or the channels are no whole numbers of at least 1.
        AtrousError: If there is no tensor among the inputs.
    """
    if inputs is None:
        shape = image_shape(model, size, in_channels=in_channels, batch_size=batch_size)
        image = torch.empty(shape, dtype=input_dtype(model), device="meta")
        return Arguments((image,), {}, (image,))
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Tensor | np.ndarray):
        args = (inputs,)
    elif isinstance(inputs, Mapping):
        kwargs = dict(inputs)
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
        args = tuple(inputs) if _takes(model, inputs) or not _takes(model, (inputs,)) else (inputs,)
    else:
        raise AtrousError(
            f"`inputs` is a {type(inputs).__name__}; give a tensor, a list of forward's arguments, "
            "or a dictionary of them by name."
        )
    args, kwargs = pytree.tree_map_only(np.ndarray, torch.as_tensor, (args, kwargs))
    leaves = pytree.tree_leaves((args, kwargs))
    tensors = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
    if not tensors:
        kinds = sorted({type(leaf).__name__ for leaf in leaves}) or ["nothing"]
        raise AtrousError(
            f"`inputs` holds no tensor, only {', '.join(kinds)}; give the tensors that forward "
            "takes, for example inputs=[torch.rand(1, 3, 224, 224)]."
        )
    return Arguments(args, kwargs, tensors)


def _takes(model: nn.Module, args: Sequence[Any]) -> bool:
    """Whether `forward` takes so many arguments by position."""
    try:
        inspect.signature(model.forward).bind(*args)
    except (TypeError, ValueError):  # it does not, or has no signature
        return False
    return True


def need_axes(arguments: Arguments, source: int, what: str) -> tuple[int, ...]:
    """Spatial lengths of an input that must have some.

    Raises:
        ShapeError: If it has none, or if there is no such input.
    """
    if not 0 <= source < len(arguments.tensors):
        raise ShapeError(
            f"`source` is {source}, but there are {len(arguments.tensors)} input tensors; count "
            "from 0."
        )
    lengths = arguments.lengths(source)
    if not lengths:
        shape = tuple(arguments.tensors[source].shape)
        raise ShapeError(
            f"The input of shape {shape} has no spatial axes, so there is no {what}; it takes "
            "numbers of shape (batch, channels, *size)."
        )
    return lengths
