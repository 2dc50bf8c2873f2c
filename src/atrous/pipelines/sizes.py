"""What `--size` may be: `512x1024`, `3x512x1024` with channels, `64` for every axis."""

from typing import TYPE_CHECKING

from atrous.errors import ShapeError
from atrous.types import Size

if TYPE_CHECKING:
    from torch import nn

SIZE_HELP = "Input size, with or without channels: 3x512x1024, 512x1024, or 64 for every axis."


def parse_input_size(text: str, *, spatial_dims: int) -> tuple[int | None, Size]:
    """Channels, if they are given, and the spatial size.

    Raises:
        ShapeError: If the text is no size, or of another number of axes.

    Example:
        >>> parse_input_size("3x512x1024", spatial_dims=2)
        (3, (512, 1024))
        >>> parse_input_size("64", spatial_dims=3)
        (None, (64, 64, 64))
    """
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ShapeError(
            f"The size {text!r} is not positive whole numbers joined by x; write it as 512x1024, "
            f"3x512x1024 or 64."
        )
    lengths = tuple(int(part) for part in parts)
    if len(lengths) == 1:
        return None, lengths * spatial_dims
    if len(lengths) == spatial_dims:
        return None, lengths
    if len(lengths) == spatial_dims + 1:
        return lengths[0], lengths[1:]
    raise ShapeError(
        f"The size {text!r} has {len(lengths)} numbers, but the network's input has {spatial_dims} "
        f"spatial axes; give {spatial_dims} of them, or {spatial_dims + 1} with the channels first."
    )


def parse_lengths(text: str) -> Size:
    """Height and width, or three lengths for volumes, of `--size`.

    Raises:
        ShapeError: If the text is neither.

    Example:
        >>> parse_lengths("512x1024")
        (512, 1024)
    """
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(p.isascii() and p.isdigit() and int(p) for p in parts):
        raise ShapeError(
            f"--size is {text!r}, expected height and width as 512x1024, or three lengths for a "
            "network of volumes."
        )
    return tuple(int(part) for part in parts)


def spatial_dims_of(model: "nn.Module") -> int:
    """Spatial axes of a model's input: those of most of its convolutions; 2 if it has none."""
    from torch import nn

    counts = {1: 0, 2: 0, 3: 0}
    for module in model.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            counts[len(module.kernel_size)] += 1
    if not any(counts.values()):
        return 2
    return max(counts, key=lambda dims: (counts[dims], dims))
