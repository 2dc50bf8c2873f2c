"""Running a model on tensors that have shapes but no numbers, and leaving it as it was found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.parameter import is_lazy

from atrous.errors import AtrousError, ShapeError

CPU = torch.device("cpu")


def new_fake(mode: FakeTensorMode, like: Tensor) -> Tensor:
    """A fake tensor of the shape, strides and type of another; nothing of that one is read."""
    device = CPU if like.device.type == "meta" else like.device
    empty = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device="meta")
    return FakeTensor(mode, empty, device)


def unwrap(model: nn.Module) -> nn.Module:
    """The module itself, out of `torch.compile`'s wrapper.

    Raises:
        AtrousError: If it is no module, scripted, or has lazy parameters.
    """
    if not isinstance(model, nn.Module):
        raise AtrousError(
            f"Expected a torch.nn.Module, but got {type(model).__name__}; pass the model itself."
        )
    model = getattr(model, "_orig_mod", model)
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise AtrousError(
                f"Layer {name or 'model'!r} is a scripted module, whose ops cannot be watched; "
                "pass the model from before torch.jit.script or torch.jit.trace."
            )
        for key, parameter in module._parameters.items():
            if is_lazy(parameter):
                raise AtrousError(
                    f"Parameter {key!r} of layer {name or 'model'!r} has no shape yet; run the "
                    "lazy model once on real data before it is analysed."
                )
    return model


@contextmanager
def without_weights(model: nn.Module, mode: FakeTensorMode) -> Iterator[None]:
    """Replace every tensor of a model by a fake one; on leaving, restore each module's attributes.

    Whatever the forward pass stores on a module, or appends to one of its lists, is undone too.
    """
    found = [(module, dict(module.__dict__)) for module in model.modules()]
    contents = [
        (value, value.copy())
        for _, attributes in found
        for value in attributes.values()
        if type(value) in (list, dict, set)
    ]
    fakes: dict[int, Tensor] = {}

    def fake(value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) not in fakes:
                fakes[id(value)] = new_fake(mode, value)
            return fakes[id(value)]
        if isinstance(value, list | tuple) and any(isinstance(item, Tensor) for item in value):
            return type(value)(fake(item) for item in value)
        return value

    try:
        for module, attributes in found:
            for store in (module._parameters, module._buffers):
                for key, value in store.items():
                    if value is not None:
                        store[key] = fake(value)
            for key, value in attributes.items():
                if isinstance(value, Tensor | list):
                    module.__dict__[key] = fake(value)
        yield
    finally:
        for value, copy in contents:
            value.clear()
            value.extend(copy) if isinstance(value, list) else value.update(copy)
        for module, attributes in found:
            module.__dict__.clear()
            module.__dict__.update(attributes)


def input_dtype(model: nn.Module) -> torch.dtype:
    """Type of the first floating-point parameter, else float32."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.float32


def input_device(model: nn.Module) -> torch.device:
    """Device of the first parameter; CPU for models built on the meta device."""
    device = next((p.device for p in model.parameters()), CPU)
    return CPU if device.type == "meta" else device


def guess_in_channels(model: nn.Module, size: Sequence[int]) -> int:
    """Channels that the first convolution, or failing that the first linear layer, takes.

    Raises:
        ShapeError: If the model has neither.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            return module.in_channels
    pixels = 1
    for length in size:
        pixels *= length
    for module in model.modules():
        if isinstance(module, nn.Linear):
            return (
                module.in_features // pixels
                if module.in_features % pixels == 0
                else module.in_features
            )
    raise ShapeError(
        f"{type(model).__name__} has no convolution or linear layer to tell how many channels it "
        "takes; give in_channels, for example in_channels=3."
    )


def image_shape(
    model: nn.Module, size: Sequence[int], *, in_channels: int | None, batch_size: int
) -> tuple[int, ...]:
    """Shape `(B, C, *S)` of the input that is asked for.

    Raises:
        ShapeError: If a length, the channels or the batch is not a positive whole number.
    """
    size = tuple(size)
    channels = guess_in_channels(model, size) if in_channels is None else in_channels
    shape = (batch_size, channels, *size)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise ShapeError(
            f"The input would have shape {shape} (batch, channels, *size); every number must be a "
            "whole number of at least 1."
        )
    return shape
