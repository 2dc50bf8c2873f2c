"""What every segmenter is: an encoder, a decoder, and logits of the input's size."""

from collections.abc import Sequence
from math import lcm

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import CONV
from atrous.blocks.resize import at_least, crop_to_size, is_free, resize_linear
from atrous.errors import ShapeError
from atrous.networks.encoder import CheckedEncoder, Encoder, initialise
from atrous.types import Size, SpatialDims


class Segmenter(nn.Module):
    """An encoder and a decoder; logits of the input's size for an input of any size.

    The input gets zeros after its last rows and columns up to a multiple of `divisor` and to the
    least size that the encoder takes; the logits are resized linearly to that size, and what was
    added is cut off.

    Only the decoder's weights are new: an encoder that was trained before stays as it is.

    Args:
        encoder: Any that keeps the contract of `atrous.networks.encoder.Encoder`.
        decoder: From the list of maps and the size of the padded input, to logits
            `(B, num_classes, *T)` of any size T that covers the same image.
        divisor: Of the lengths that the encoder gets; None for its last reduction, with which the
            maps of most encoders lie on each other exactly; 1 for no padding but what the encoder
            itself needs.
        auxiliary: From the last map but one to logits, whose loss trains the early layers; None for
            none. See `forward_with_auxiliary`.
        align_corners: How logits are resized, see `resize_linear`.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: nn.Module,
        *,
        divisor: int | None = None,
        auxiliary: nn.Module | None = None,
        align_corners: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if auxiliary is not None and len(encoder.reductions) < 2:
            raise ShapeError(
                "An auxiliary head needs an encoder of at least two maps, but got one."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.auxiliary = auxiliary
        self.divisor = encoder.reductions[-1] if divisor is None else divisor
        self.minimum_size = max(encoder.reductions)
        if isinstance(encoder, CheckedEncoder):
            self.minimum_size = encoder.minimum_size
            self.divisor = lcm(self.divisor, encoder.divisor)
        self.align_corners = align_corners
        self.spatial_dims: SpatialDims = spatial_dims

    def forward(self, x: Tensor) -> Tensor:
        _, logits = self.maps_and_logits(x)
        return logits

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and those of the auxiliary head, where there is one, of the same size."""
        maps, logits = self.maps_and_logits(x)
        return logits, self.auxiliary_logits(maps, x)

    def maps_and_logits(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The encoder's maps of the padded input, and the logits of the input itself."""
        padded = self.pad(x)
        maps, logits = self.run(padded)
        return maps, self._fit(logits, tuple(padded.shape[2:]), x)

    def auxiliary_logits(self, maps: list[Tensor], x: Tensor) -> list[Tensor]:
        """What the auxiliary head gives for the maps of `x`; nothing where there is none."""
        if self.auxiliary is None:
            return []
        return [self._fit(self.auxiliary(maps[-2]), self.padded_size(x), x)]

    def run(self, padded: Tensor) -> tuple[list[Tensor], Tensor]:
        """The encoder's maps, and the decoder's logits at whatever size it gives them."""
        maps = self.encoder(padded)
        return maps, self.decoder(maps, tuple(padded.shape[2:]))

    def padded_size(self, x: Tensor) -> Size:
        """The size at which the encoder sees `x`."""
        least = -(-self.minimum_size // self.divisor) * self.divisor
        return tuple(
            at_least((length + self.divisor - 1) // self.divisor * self.divisor, least)
            for length in x.shape[2:]
        )

    def pad(self, x: Tensor) -> Tensor:
        """`x` with zeros after its last rows and columns, up to `padded_size`.

        Raises:
            ShapeError: If the axes are not those of the network, or one is empty.
        """
        axes = "(B, C, H, W)" if self.spatial_dims == 2 else "(B, C, D, H, W)"
        if x.dim() != self.spatial_dims + 2 or (not is_free(x) and 0 in x.shape):
            raise ShapeError(
                f"Got an input of shape {tuple(x.shape)}, expected {axes} with every length at "
                f"least 1; give it these axes, or build the network with another spatial_dims than "
                f"{self.spatial_dims}."
            )
        missing = [
            more - length for more, length in zip(self.padded_size(x), x.shape[2:], strict=True)
        ]
        if not is_free(x) and not any(missing):
            return x
        return F.pad(x, [pad for length in reversed(missing) for pad in (0, length)])

    def _fit(self, logits: Tensor, padded_size: Size, x: Tensor) -> Tensor:
        resized = resize_linear(logits, padded_size, align_corners=self.align_corners)
        return crop_to_size(resized, x.shape[2:])


class ConvHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels, dropout, and a 1x1 to classes.

    Shape:
        `(B, in_channels, *S)` to `(B, num_classes, *S)`.

    Source: the form of torchvision's FCN.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        width = max(1, in_channels // 4)
        self.conv = ConvNormAct(in_channels, width, 3, spatial_dims=spatial_dims)
        self.dropout = nn.Dropout(0.1)
        self.head = CONV[spatial_dims](width, num_classes, 1)
        initialise_decoder(self, self.head)


def initialise_decoder(decoder: nn.Module, *heads: nn.Module) -> None:
    """Random weights to train from, see `initialise`; `heads`, which give logits, start near zero.

    A head as wide as `initialise` makes it would begin with logits of ten and more, since a few
    classes are its whole fan-out, and every image would first have to unlearn them.
    """
    initialise(decoder)
    for head in heads:
        assert isinstance(head.weight, Tensor)
        nn.init.normal_(head.weight, std=0.01)
        if isinstance(head.bias, Tensor):
            nn.init.zeros_(head.bias)


def auxiliary_head(
    encoder: Encoder, *, num_classes: int, has_auxiliary: bool, spatial_dims: SpatialDims
) -> ConvHead | None:
    """A head for the last map but one, or None where none is wanted.

    Raises:
        ShapeError: If there are no classes, or the encoder has one map only.
    """
    check_classes(num_classes)
    if not has_auxiliary:
        return None
    if len(encoder.out_channels) < 2:
        raise ShapeError("An auxiliary head needs an encoder of at least two maps, but got one.")
    return ConvHead(encoder.out_channels[-2], num_classes, spatial_dims=spatial_dims)


def check_classes(num_classes: int) -> None:
    """Stop a network that could answer nothing.

    Raises:
        ShapeError: If there are no classes.
    """
    if num_classes < 1:
        raise ShapeError(f"A segmenter needs at least one class, but got {num_classes}.")


def coarsest_of_each(reductions: Sequence[int]) -> list[int]:
    """Of the maps at one reduction the index of the last, finest first.

    Example:
        >>> coarsest_of_each((2, 4, 8, 8, 8))
        [0, 1, 4]
    """
    return sorted({reduction: index for index, reduction in enumerate(reductions)}.values())


def map_at(reductions: Sequence[int], reduction: int) -> int:
    """Index of the last map that is at least as fine as `reduction`; of the finest if none is.

    Example:
        >>> map_at((2, 4, 8, 16, 32), 4), map_at((8, 16), 4)
        (1, 0)
    """
    fine = [index for index, found in enumerate(reductions) if found <= reduction]
    return fine[-1] if fine else 0
