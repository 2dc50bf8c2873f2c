"""An encoder with a head that names the image as a whole."""

from collections.abc import Mapping

from torch import Tensor, nn

from atrous.blocks.nd import ADAPTIVE_AVG_POOL
from atrous.errors import ShapeError
from atrous.networks.encoder import CheckedEncoder, StagedEncoder, initialise
from atrous.types import SpatialDims


class Head(nn.Sequential):
    """From a feature map to logits; its last child is the linear layer to classes.

    Shape:
        `(B, C, *S)` to `(B, num_classes)`.
    """

    linear: nn.Linear


class LinearHead(Head):
    """The mean over all positions, dropout, and a linear layer to classes.

    Args:
        in_channels: Channels of the map that the head gets.
        num_classes: Length of the logits.
        dropout: Share of channels set to zero in training.
        before: What the map passes before it is averaged, such as an expanding convolution, with
            the channels it makes as `in_channels`; None for nothing.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, C, *S)` to `(B, num_classes)`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dropout: float = 0.0,
        before: nn.Module | None = None,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if before is not None:
            self.before = before
        self.pool = ADAPTIVE_AVG_POOL[spatial_dims](1)
        self.flatten = nn.Flatten()
        if dropout:
            self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_channels, num_classes)


class Classifier(nn.Module):
    """An encoder, and a head on its coarsest map.

    Args:
        encoder: Gives the maps; the head gets the last.
        head: From that map to logits.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes)`.
    """

    def __init__(self, encoder: CheckedEncoder, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder.coarsest(x))


class AuxiliaryClassifier(Classifier):
    """A classifier with further heads on the way, whose losses train the early layers.

    `model(x)` answers like any classifier, in training too. The further heads are asked for by
    `forward_with_auxiliary`, so the type of an answer never depends on the mode.

    Args:
        encoder: Its stages have named blocks.
        head: From the last map to logits.
        auxiliary: Further heads, each under the name of the block whose output it gets.
    """

    def __init__(self, encoder: StagedEncoder, head: Head, auxiliary: Mapping[str, Head]) -> None:
        super().__init__(encoder, head)
        self.auxiliary = nn.ModuleDict(auxiliary)
        initialise(self.auxiliary)

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and those of the further heads from early to late."""
        self.encoder.check_input(x)
        stages = self.encoder.stages
        assert isinstance(stages, nn.ModuleList)  # the constructor takes no other
        early = []
        for stage in stages:
            for name, block in stage.named_children():
                x = block(x)
                if name in self.auxiliary:
                    early.append(self.auxiliary[name](x))
        return self.head(x), early


def replace_head(model: Classifier, num_classes: int) -> None:
    """Put a new last layer on a trained classifier, in place, to fine-tune it on other classes.

    All other weights stay; the new layer is on the same device, of the same type, and random.

    Args:
        model: Any classifier of the catalog; auxiliary heads are replaced too.
        num_classes: Length of the new logits.

    Raises:
        ShapeError: If `num_classes` is less than 1.

    Example:
        >>> from atrous.networks.classifiers.shufflenet_v2 import shufflenet_v2_x0_5
        >>> model = shufflenet_v2_x0_5()
        >>> replace_head(model, 10)
        >>> model.head.linear.out_features
        10
    """
    if num_classes < 1:
        raise ShapeError(f"A classifier needs at least one class, but got {num_classes}.")
    for head in (module for module in model.modules() if isinstance(module, Head)):
        old = head.linear
        new = nn.Linear(
            old.in_features,
            num_classes,
            bias=old.bias is not None,
            device=old.weight.device,
            dtype=old.weight.dtype,
        )
        initialise(new)
        new.train(old.training)
        head.linear = new
