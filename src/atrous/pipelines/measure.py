"""Open a model and find out all that `profile` and `compare` print."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from atrous.errors import ShapeError
from atrous.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from atrous.analysis import Halo, Latency, Profile, ReceptiveField
    from atrous.pipelines.models import NamedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A network's cost and sight at one size."""

    name: str
    model: "nn.Module"
    size: Size
    in_channels: int | None
    has_trained_weights: bool
    cost: "Profile"
    seen: "ReceptiveField"
    halo: "Halo"
    latency: "Latency | None"


def input_size(opened: "NamedModel", size_text: str | None) -> tuple[int | None, Size]:
    """Channels, if they were given, and spatial size to look at a model with.

    Args:
        opened: The model.
        size_text: What `--size` gave; None for the size that the model is usually quoted at.

    Raises:
        ShapeError: If the text is no size for it, or there is neither.
    """
    from atrous.pipelines.sizes import parse_input_size, spatial_dims_of

    if size_text is not None:
        return parse_input_size(size_text, spatial_dims=spatial_dims_of(opened.model))
    if opened.size is not None:
        return None, opened.size
    if opened.inputs is not None:
        from atrous.analysis.tracing.arguments import as_arguments, need_axes

        call = as_arguments(opened.model, (), in_channels=None, inputs=opened.inputs)
        return call.tensors[0].shape[1], need_axes(call, 0, "receptive field or halo")
    raise ShapeError(f"{opened.name} has no usual input size; give one: --size 3x224x224.")


def measure(
    text: str,
    size_text: str | None,
    *,
    needs_weights: bool = False,
    with_latency: bool = False,
    counts_holes: bool = True,
    encoder: str | None = None,
) -> Measured:
    """Profile the model that `text` names, in eval mode, at a size.

    Args:
        text: What `open_model` takes.
        size_text: What `--size` gave; None for the size that the model is usually quoted at.
        needs_weights: Make real tensors, so that the caller can run the model.
        with_latency: Also time it here.
        counts_holes: Also count the positions inside each field that are really read, which takes
            longest.
        encoder: What a segmenter by name stands on; None for its own.

    Raises:
        AtrousError: If there is no such model, no size, or the model does not take it.
    """
    from atrous.analysis import halo, latency, profile, receptive_field
    from atrous.pipelines.models import open_model

    opened = open_model(text, needs_weights=needs_weights or with_latency, encoder=encoder)
    model, inputs = opened.model, opened.inputs if size_text is None else None
    in_channels, size = input_size(opened, size_text)
    seen = receptive_field(
        model, size, in_channels=in_channels, inputs=inputs, counts_holes=counts_holes
    )
    cost = profile(model, size, in_channels=in_channels, inputs=inputs)
    if with_latency and inputs is not None:
        raise ShapeError(
            f"{opened.name} gives its own inputs, and only images of a size are timed; give a "
            "size: --size 3x224x224."
        )
    return Measured(
        name=opened.name,
        model=model,
        size=size,
        in_channels=in_channels,
        has_trained_weights=opened.is_trained,
        cost=_with_fields(cost, seen),
        seen=seen,
        halo=halo(model, size, in_channels=in_channels, inputs=inputs, seen=seen),
        latency=latency(model, size, in_channels=in_channels) if with_latency else None,
    )


def cost_of(text: str, size_text: str | None) -> "Profile":
    """The costs alone of the model that `text` names, where its field cannot be followed.

    Raises:
        AtrousError: If there is no such model, no size, or nothing of it can be counted.
    """
    from atrous.analysis import profile
    from atrous.pipelines.models import open_model

    opened = open_model(text)
    inputs = opened.inputs if size_text is None else None
    in_channels, size = input_size(opened, size_text)
    return profile(opened.model, size, in_channels=in_channels, inputs=inputs)


def compare(
    models: "Sequence[str]", size: str | None = None, *, encoder: str | None = None
) -> "list[Measured]":
    """Cost and field of several models at one size.

    Args:
        models: What `open_model` takes: names of the catalog, `torchvision:NAME`, `timm:NAME`,
            weights files, or `FILE.py:FUNCTION`.
        size: Input size such as `3x512x1024`; None for the size that each is quoted at.
        encoder: What segmenters by name stand on; None for their own.

    Raises:
        AtrousError: If there is no such model, or it does not take the size.
    """
    return [measure(text, size, encoder=encoder) for text in models]


def _with_fields(cost: "Profile", seen: "ReceptiveField") -> "Profile":
    """The profile with the fields of its layers, which are the slow part and known already."""
    layers = tuple(
        replace(layer, field=seen.layers.get(layer.name or "output")) for layer in cost.layers
    )
    return replace(cost, layers=layers, layer_fields=seen.layers)
