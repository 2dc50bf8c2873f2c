"""A chain's layers along the axes of its input, also behind `Flatten`, where no axes are left."""

from collections.abc import Sequence
from itertools import takewhile

from atrous.arithmetic.axis import LayerAxis, SlidingAxis
from atrous.arithmetic.dense import FlattenSpec, LinearSpec
from atrous.arithmetic.layer import LayerSpec
from atrous.errors import ShapeError
from atrous.types import Size


def before_flatten(layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """The layers that work on maps: all, if nothing flattens."""
    return list(takewhile(lambda layer: not isinstance(layer, FlattenSpec), layers))


def field_axes(
    layers: Sequence[LayerSpec], size: Size | None = None
) -> list[tuple[LayerAxis, ...]]:
    """Every layer along each spatial axis of the chain's input, for its receptive field.

    A feature behind `Flatten` reads what its position read; the first linear layer reads all
    positions of the map, as a convolution with a kernel as large as the map does.

    Raises:
        ShapeError: If a linear layer stands behind `Flatten` and the size is not given.
    """
    maps = before_flatten(layers)
    axes = [layer.axes for layer in maps]
    if len(maps) == len(layers):
        return axes
    spatial_dims = len(layers[len(maps)].axes)
    grid = size
    for layer in maps:
        grid = None if grid is None else layer.output_size(grid)
    is_mixed = False
    for layer in layers[len(maps) :]:
        kernel = (1,) * spatial_dims
        if isinstance(layer, LinearSpec) and not is_mixed:
            if grid is None:
                raise ShapeError(
                    f"{layer.expression} behind Flatten reads every position of its map, so that "
                    "what it sees depends on the size; give the size of the input (--size)."
                )
            kernel, is_mixed = grid, True
        axes.append(tuple(SlidingAxis(kernel_size=length) for length in kernel))
    return axes
