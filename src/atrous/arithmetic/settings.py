"""Checks that a layer's settings are ones torch would take, each with a message that helps."""

from atrous.errors import ShapeError
from atrous.types import Size


def whole(layer: str, setting: str, value: object, *, minimum: int) -> int:
    """The value itself, if it is a whole number of at least `minimum`.

    Raises:
        ShapeError: If it is not; a bool does not count as a number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ShapeError(
            f"{layer} has {setting}={value!r}, but it must be a whole number of at least "
            f"{minimum}; change {setting}."
        )
    return value


def per_axis(
    layer: str,
    setting: str,
    value: object,
    *,
    spatial_dims: int,
    minimum: int,
    repeats_single: bool = True,
) -> Size:
    """One number for each spatial axis, from one number for all or from a tuple.

    Args:
        layer: Name for the message.
        setting: Name for the message.
        value: What the caller gave.
        spatial_dims: How many axes there are.
        minimum: Smallest number allowed.
        repeats_single: Whether `(2,)` may stand for `(2, 2)`. Torch does so everywhere but for a
            convolution's kernel, whose length decides the number of dimensions.

    Raises:
        ShapeError: If a number is not whole or too small, or their count is wrong.
    """
    if not isinstance(value, tuple | list):
        return (whole(layer, setting, value, minimum=minimum),) * spatial_dims
    numbers = tuple(whole(layer, setting, number, minimum=minimum) for number in value)
    if len(numbers) == 1 and repeats_single:
        return numbers * spatial_dims
    if len(numbers) != spatial_dims:
        raise ShapeError(
            f"{layer} has {setting}={tuple(value)} with {len(numbers)} numbers, but it has "
            f"{spatial_dims} spatial axes; give {spatial_dims}, or one number for all."
        )
    return numbers


def check_size(layer: str, size: Size, *, spatial_dims: int) -> None:
    """Pass if `size` is a spatial size of that many axes.

    Raises:
        ShapeError: If the number of axes is wrong or a length is not a positive whole number.
    """
    if len(size) != spatial_dims:
        raise ShapeError(
            f"The size {by(size)} has {len(size)} axes, but {layer} works on {spatial_dims}; "
            f"give {spatial_dims} lengths."
        )
    for length in size:
        whole(f"The size {by(size)} for {layer}", "length", length, minimum=1)


def check_channels(layer: str, *, in_channels: int, out_channels: int, groups: int) -> None:
    """Pass if the channels are positive and can be dealt out to the groups.

    Raises:
        ShapeError: If not.
    """
    whole(layer, "in_channels", in_channels, minimum=1)
    whole(layer, "out_channels", out_channels, minimum=1)
    whole(layer, "groups", groups, minimum=1)
    if in_channels % groups or out_channels % groups:
        raise ShapeError(
            f"{layer} has {in_channels} input and {out_channels} output channels with "
            f"groups={groups}, but both must be divisible by groups; change one of them."
        )


def check_spatial_dims(layer: str, spatial_dims: int) -> None:
    """Pass if there are one, two or three spatial axes.

    Raises:
        ShapeError: If not.
    """
    if spatial_dims not in (1, 2, 3) or isinstance(spatial_dims, bool):
        raise ShapeError(
            f"{layer} has spatial_dims={spatial_dims!r}, but torch has layers for 1, 2 and 3; "
            "choose one of these."
        )


def check_flag(layer: str, setting: str, value: object) -> None:
    """Pass if the value is True or False.

    Raises:
        ShapeError: If not.
    """
    if not isinstance(value, bool):
        raise ShapeError(
            f"{layer} has {setting}={value!r}, but it must be True or False; write one of them."
        )


def by(lengths: Size) -> str:
    """Lengths as people write them: `64x48`."""
    return "x".join(str(length) for length in lengths)
