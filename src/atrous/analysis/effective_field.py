"""How much of its receptive field a network really uses.

Source: Luo, Li, Urtasun, Zemel, "Understanding the Effective Receptive Field in Deep Convolutional
Neural Networks", NeurIPS 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from atrous.analysis.fields.outputs import named_tensors
from atrous.analysis.receptive_field import ReceptiveField, receptive_field
from atrous.analysis.tracing.fake import image_shape, input_device, input_dtype, unwrap
from atrous.errors import AtrousError, ShapeError, UnknownNameError

THRESHOLD: Final = 1 - 0.9545
"""Share of the highest value down to which a position counts: two standard deviations' worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveField:
    """Where the gradient of the central output falls on the input.

    Attributes:
        layer: Whose central output.
        map: Mean absolute gradient per input position, `(*S)`, 1 at its highest.
        size: Positions per axis whose marginal exceeds 4.55 % of its highest value.
        area: Positions of the map above that share of its highest value.
        sigma: Standard deviation per axis of the Gaussian with the map's moments, in input pixels.
        centre: Mean position per axis.
        theoretical: Receptive field per axis; the input's length where all of it is seen.
        num_images: Images averaged.
    """

    layer: str
    map: NDArray[np.float64]
    size: tuple[int, ...]
    area: int
    sigma: tuple[float, ...]
    centre: tuple[float, ...]
    theoretical: tuple[int, ...]
    num_images: int

    @property
    def share(self) -> tuple[float, ...]:
        """Effective over theoretical size, per axis."""
        return tuple(a / b for a, b in zip(self.size, self.theoretical, strict=True))


def effective_receptive_field(
    model: nn.Module,
    images: Tensor | None = None,
    *,
    size: Sequence[int] | None = None,
    output: str | None = None,
    in_channels: int | None = None,
    num_images: int = 16,
    seed: int = 0,
    seen: ReceptiveField | None = None,
) -> EffectiveField:
    """Gradient of the central output with respect to the input, averaged over images.

    The model runs in the mode it is in, and neither its weights' gradients nor its buffers change.

    Args:
        model: Any module with real weights.
        images: `(N, C, *S)`, normalised as the model wants them. Default: noise of mean 0 and
            variance 1.
        size: Spatial lengths of the noise; larger than the theoretical field, or it will be cut.
        output: A layer's dotted name, or a key of what the model returns. Default: the first thing
            returned.
        in_channels: Channels of the noise; read off the first convolution if left out.
        num_images: Noise images.
        seed: Of the noise.
        seen: The theoretical fields at the same size, if they are known; computed if not.

    Raises:
        ShapeError: If neither `images` nor `size` is given, or the output is no map.
        AtrousError: If the model has no weights, or its output does not depend on the input.

    Example:
        >>> kernel = torch.ones(1, 1, 3, 3)
        >>> net = nn.Conv2d(1, 1, 3, bias=False)
        >>> net.weight = nn.Parameter(kernel)
        >>> effective_receptive_field(net, size=(9, 9), num_images=1).size
        (3, 3)
    """
    model = unwrap(model)
    if images is None:
        images = _noise(model, size, in_channels, num_images, seed)
    heat = _heat(model, images, output)
    size, channels = images.shape[2:], images.shape[1]
    if seen is not None and output is not None and output in seen.layers:
        return _measure(heat, output, seen.layers[output].size, len(images))
    if seen is None or output is not None:
        seen = receptive_field(
            model, size, output=output, in_channels=channels, counts_holes=False, mode="as is"
        )
    return _measure(heat, seen.layer, seen.field.size, len(images))


def effective_size(
    model: nn.Module,
    size: Sequence[int],
    *,
    in_channels: int | None = None,
    num_images: int = 2,
    seed: int = 0,
) -> tuple[int, ...]:
    """`size` of the effective receptive field alone, without the theoretical one beside it.

    Args:
        model: Any module with real weights.
        size: Spatial lengths of the noise that it is run on.
        in_channels: Channels of the noise; read off the first convolution if left out.
        num_images: Noise images.
        seed: Of the noise.

    Raises:
        ShapeError: If the output is no map.
        AtrousError: If the model has no weights, or its output does not depend on the input.

    Example:
        >>> effective_size(nn.Conv2d(1, 1, 3, bias=False), (9, 9))
        (3, 3)
    """
    model = unwrap(model)
    heat = _heat(model, _noise(model, size, in_channels, num_images, seed), None)
    return _measure(heat, "", tuple(size), num_images).size


def _heat(model: nn.Module, images: Tensor, output: str | None) -> NDArray[np.float64]:
    """Absolute gradient of the central output, summed over images and channels."""
    if any(p.device.type == "meta" for p in model.parameters()):
        raise AtrousError(
            "The model has no weights (it is on the meta device); load or create them first."
        )
    images = images.to(device=input_device(model), dtype=input_dtype(model))
    heat = np.asarray(sum(_gradient(model, image[None], output) for image in images))
    if not np.isfinite(heat).all() or heat.max() <= 0:
        raise AtrousError(
            "The gradient at the input is zero or not finite everywhere, so there is no field to "
            "measure; check that the output depends on the input and that the weights are sound."
        )
    return heat


def _noise(
    model: nn.Module, size: Sequence[int] | None, in_channels: int | None, count: int, seed: int
) -> Tensor:
    if size is None:
        raise ShapeError(
            "Neither images nor size was given; give one, for example size=(256, 256)."
        )
    shape = image_shape(model, size, in_channels=in_channels, batch_size=count)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _gradient(model: nn.Module, image: Tensor, output: str | None) -> NDArray[np.float64]:
    """Absolute gradient of one image, summed over its channels."""
    image = image.detach().clone().requires_grad_()
    found: dict[str, Tensor] = {}

    def collect(_: nn.Module, __: Any, value: Any) -> None:
        found.update(named_tensors(output or "output", value))

    hook = None
    if output is not None and output in dict(model.named_modules()):
        hook = model.get_submodule(output).register_forward_hook(collect)
    try:
        with torch.enable_grad():
            buffers = {name: tensor.clone() for name, tensor in model.named_buffers()}
            result = functional_call(model, buffers, (image,))
    finally:
        if hook is not None:
            hook.remove()
    if hook is None:
        returned = dict(named_tensors("output", result))
        key = f"output[{output}]"
        if output is not None and key not in returned and output not in returned:
            raise UnknownNameError(
                "layer", output, [name for name, _ in model.named_modules() if name]
            )
        found = (
            returned if output is None else {key: returned.get(key, returned.get(output, image))}
        )
    tensor = next(iter(found.values()))
    if tensor.ndim != image.ndim:
        raise ShapeError(
            f"The output has shape {tuple(tensor.shape)}, which is no map of an input of "
            f"{tuple(image.shape)}; name an earlier layer with `output`."
        )
    central = tensor[0]
    for length in tensor.shape[2:]:
        central = central[:, length // 2]
    (gradient,) = torch.autograd.grad(central.sum(), image)
    heat: NDArray[np.float64] = gradient[0].abs().sum(0).double().cpu().numpy()
    return heat


def _measure(
    heat: NDArray[np.float64], layer: str, theoretical: tuple[int, ...], num_images: int
) -> EffectiveField:
    """Widths and moments of a map."""
    heat = heat / heat.max()
    sizes, sigmas, centres = [], [], []
    for axis in range(heat.ndim):
        marginal = heat.sum(axis=tuple(d for d in range(heat.ndim) if d != axis))
        sizes.append(int((marginal > THRESHOLD * marginal.max()).sum()))
        weights, at = marginal / marginal.sum(), np.arange(len(marginal))
        mean = float(weights @ at)
        centres.append(mean)
        sigmas.append(float(np.sqrt(weights @ (at - mean) ** 2)))
    return EffectiveField(
        layer=layer,
        map=heat,
        size=tuple(sizes),
        area=int((heat > THRESHOLD).sum()),
        sigma=tuple(sigmas),
        centre=tuple(centres),
        theoretical=theoretical,
        num_images=num_images,
    )
