"""Tensors that have shapes but no numbers, in place of a model's own and of its inputs."""

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.parameter import is_lazy

from atrous.errors import AtrousError, ShapeError

CPU = torch.device("cpu")
_LARGEST = 10**12  # numbers of one input


Meta: TypeAlias = tuple[Sequence[int], Sequence[int], torch.dtype, torch.device]
"""Shape, strides, type and device of a tensor."""


class FakeMaker:
    """Makes fake tensors of one mode, by the thousand.

    The first on each device is made by torch; the others get the attributes that it has, which
    takes a fifth of the time.
    """

    def __init__(self, mode: FakeTensorMode) -> None:
        self.mode = mode
        self._attributes: dict[torch.device, dict[str, Any]] = {}

    def make(self, meta: Meta, *, requires_grad: bool = False) -> FakeTensor:
        """A new tensor without numbers."""
        shape, stride, dtype, device = meta
        empty = torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        attributes = self._attributes.get(device)
        if attributes is None:
            fake = FakeTensor(self.mode, empty, device, requires_grad=requires_grad)
            self._attributes[device] = dict(fake.__dict__)
            return fake
        fake = Tensor._make_subclass(
            FakeTensor,
            empty,
            requires_grad,
            dispatch_device=True,
            device_for_backend_keys=attributes["_fake_device"],
        )
        torch._C._set_throw_on_mutable_data_ptr(fake)
        fake.__dict__.update(attributes)
        return fake

    def like(self, tensor: Tensor) -> FakeTensor:
        """A fake tensor of the shape, strides and type of another; nothing of that one is read.

        It is a parameter if the other is one, and asks for gradients if the other does.
        """
        device = CPU if tensor.device.type == "meta" else tensor.device
        meta = tensor.shape, tensor.stride(), tensor.dtype, device
        fake = self.make(meta, requires_grad=tensor.requires_grad)
        if isinstance(tensor, nn.Parameter):
            fake._is_param = True
        return fake


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
    is_callable = type(model).__call__ is not nn.Module.__call__ or "forward" in model.__dict__
    if not is_callable and type(model).forward is nn.Module.forward:
        raise AtrousError(
            f"{type(model).__name__} has no `forward`, so it cannot be run; pass the module that "
            "does, or write its forward."
        )
    return model


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
    """Channels that the first convolution takes, of those with as many axes as the size if any.

    Failing that, what the first linear layer takes.

    Raises:
        ShapeError: If the model has neither.
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    if convolutions:
        fitting = [m for m in convolutions if len(m.kernel_size) == len(size)]
        return (fitting or convolutions)[0].in_channels
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


def _first_convolution(model: nn.Module) -> tuple[int, int]:
    """Spatial axes and channels of the first convolution's input; zeros if there is none."""
    kinds = ((nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3))
    for module in model.modules():
        for kind, axes in kinds:
            if isinstance(module, kind):
                return axes, module.in_channels
    return 0, 0


def image_shape(
    model: nn.Module, size: Sequence[int], *, in_channels: int | None, batch_size: int
) -> tuple[int, ...]:
    """Shape `(B, C, *S)` of the input that is asked for.

    A size may hold the channels before the lengths, `(C, *S)`, or be the whole shape `(B, C, *S)`,
    where axes and channels of the model's first convolution tell them apart.

    Raises:
        ShapeError: If a length, the channels or the batch is not a positive whole number, or the
            channels are given twice, and differently.
    """
    size = tuple(size)
    axes, channels = _first_convolution(model)
    extra = len(size) - axes
    if axes and extra in (1, 2) and size[extra - 1] == channels:
        given, size = size[:extra], size[extra:]
        if in_channels not in (None, given[-1]):
            raise ShapeError(
                f"The size {(*given, *size)} has {given[-1]} channels and in_channels is "
                f"{in_channels}; expected one number; leave one of them out."
            )
        in_channels, batch_size = given[-1], given[0] if extra == 2 else batch_size
    channels = guess_in_channels(model, size) if in_channels is None else in_channels
    shape = (batch_size, channels, *size)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise ShapeError(
            f"The input would have shape {shape} (batch, channels, *size); every number must be a "
            "whole number of at least 1."
        )
    if prod(shape) > _LARGEST:
        raise ShapeError(
            f"The input would have shape {shape} (batch, channels, *size), which is more numbers "
            f"than any memory holds; every number must be a whole number, and all together below "
            f"{_LARGEST:.0e}."
        )
    return shape
