"""torchvision's backbones under the encoder contract; torchvision is imported where it is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.encoder import CheckedEncoder, Encoder, refuse_volumes
from atrous.types import SpatialDims

_PROBES = ((320, 384), (448, 640))  # sizes that any backbone takes that takes more than one
_HEADS = ("classifier", "fc", "head", "heads", "avgpool", "aux1", "aux2", "AuxLogits")
_TORCHVISION_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Tap:
    """Where in a backbone a feature map is taken."""

    node: str
    """Name of the module that gives it."""
    channels: int
    reduction: int
    has_channels_last: bool
    """Whether it comes as `(B, H, W, C)`."""


class TorchvisionEncoder(CheckedEncoder):
    """A torchvision classifier cut off before its head, with a map taken at each reduction.

    Args:
        backbone: The classifier.
        taps: Where to take maps, finest first.
        in_channels: Channels of the image.

    Shape:
        `(B, in_channels, H, W)` to a list of maps, see `atrous.networks.encoder.Encoder`.
    """

    def __init__(self, backbone: nn.Module, taps: Sequence[Tap], *, in_channels: int) -> None:
        from torchvision.models.feature_extraction import (
            create_feature_extractor,
        )

        super().__init__(
            out_channels=[tap.channels for tap in taps],
            reductions=[tap.reduction for tap in taps],
            in_channels=in_channels,
        )
        extractor = create_feature_extractor(backbone, [tap.node for tap in taps])
        # The extractor has a graph for each mode, which differ in no classifier of torchvision, and
        # a copy of it is in training mode whatever it was in; a plain graph's copy is as it was.
        self.backbone = GraphModule(extractor, extractor.graph, type(backbone).__name__)
        self.taps = tuple(taps)

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        maps = self.backbone(x)
        return [
            maps[tap.node].permute(0, 3, 1, 2) if tap.has_channels_last else maps[tap.node]
            for tap in self.taps
        ]


def torchvision_encoder(
    name: str,
    *,
    in_channels: int = 3,
    spatial_dims: SpatialDims = 2,
    output_stride: int = 32,
) -> Encoder:
    """An untrained torchvision classifier as an encoder.

    Args:
        name: As torchvision calls it, such as `densenet121`.
        in_channels: Channels of the image.
        spatial_dims: 2; these backbones are for images.
        output_stride: 32, or 8 or 16 for the ResNets that torchvision can dilate.

    Raises:
        UnknownNameError: If torchvision has no such classifier.
        ShapeError: If the backbone gives no feature maps of that kind.
    """
    refuse_volumes(f"torchvision's {name}", spatial_dims)
    backbone = _build(name, output_stride)
    _take_channels(backbone, in_channels)
    taps = _find_taps(name, backbone, in_channels)
    return TorchvisionEncoder(backbone, taps, in_channels=in_channels)


def _build(name: str, output_stride: int) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UnknownNameError("torchvision classifier", name, known)
    build = partial(models.get_model_builder(name), weights=None)
    if name in {"googlenet", "inception_v3"}:
        # Their own random weights take minutes; heads on the way are no part of an encoder.
        return build(init_weights=False, aux_logits=False)
    if output_stride == 32:
        try:
            return build()
        except NotImplementedError:  # the RegNets count with tensors, which have no numbers there
            device = torch.get_default_device()
            with torch.device("cpu"):
                return build().to(device)
    swaps = {16: [False, False, True], 8: [False, True, True]}.get(output_stride)
    try:
        if swaps is None:
            raise ValueError(f"{output_stride} is not 8, 16 or 32")
        return build(replace_stride_with_dilation=swaps)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ShapeError(
            f"torchvision's {name} cannot be built with output_stride={output_stride} ({error}); "
            f"use 32, or one of our own ResNets or VGGs."
        ) from error


def _take_channels(backbone: nn.Module, in_channels: int) -> None:
    """Replace the first convolution by one of another number of input channels."""
    if in_channels == _TORCHVISION_CHANNELS:
        return
    name, first = next((n, m) for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d))
    assert not isinstance(first.padding, str)
    parent, _, child = name.rpartition(".")
    replacement = nn.Conv2d(
        in_channels,
        first.out_channels,
        (first.kernel_size[0], first.kernel_size[1]),
        stride=(first.stride[0], first.stride[1]),
        padding=(first.padding[0], first.padding[1]),
        bias=first.bias is not None,
    )
    backbone.get_submodule(parent).register_module(child, replacement)


def _find_taps(name: str, backbone: nn.Module, in_channels: int) -> list[Tap]:
    """The last map of each reduction, told by how sizes grow when the image does."""
    try:
        small, large = (_shapes(backbone, (1, in_channels, *size)) for size in _PROBES)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ShapeError(
            f"torchvision's {name} takes images of one size only, so it is no encoder ({error}); "
            f"use another backbone."
        ) from error
    taps: dict[int, Tap] = {}
    for node, shape in small.items():
        for spatial, channel in (((2, 3), 1), ((1, 2), 3)):
            reduction = _reduction([large[node][axis] - shape[axis] for axis in spatial])
            if reduction >= 2 and shape[channel] == large[node][channel]:
                taps[reduction] = Tap(
                    node, shape[channel], reduction, has_channels_last=channel == 3
                )
    if len(taps) < 2:
        raise ShapeError(
            f"torchvision's {name} gives {len(taps)} feature maps, expected maps of several "
            f"reductions; use another backbone."
        )
    return [taps[reduction] for reduction in sorted(taps)]


def _reduction(growth: Sequence[int]) -> int:
    """Input pixels per position, from how much the two lengths have grown; 0 if it is no map."""
    steps = [large - small for small, large in zip(*_PROBES, strict=True)]
    if any(length <= 0 or step % length for step, length in zip(steps, growth, strict=True)):
        return 0
    first, second = (step // length for step, length in zip(steps, growth, strict=True))
    return first if first == second else 0


def _shapes(backbone: nn.Module, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of what the outer modules give, and those in outer chains, in the order of running."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            found.pop(name, None)  # the last run of a shared module counts
            found[name] = tuple(output.shape)

    hooks = [
        module.register_forward_hook(partial(note, name))
        for name, module in backbone.named_modules()
        if _lies_on_the_way(backbone, name)
    ]
    was_training = backbone.training
    backbone.eval()
    # Shapes need no numbers: on the meta device nothing is computed.
    tensors = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    nowhere = {key: tensor.detach().to("meta") for key, tensor in tensors.items()}
    try:
        with torch.no_grad():
            torch.func.functional_call(backbone, nowhere, torch.empty(shape, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(was_training)
    return found


def _lies_on_the_way(backbone: nn.Module, name: str) -> bool:
    """Whether everything passes through this module, which a branch of a block cannot say."""
    outer, _, inner = name.partition(".")
    if not outer or outer in _HEADS or "." in inner:
        return False
    is_chain = isinstance(backbone.get_submodule(outer), nn.Sequential | nn.ModuleList)
    return not inner or is_chain
