"""Channel shuffle: how groups of channels that never meet in a convolution are mixed."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import ShapeError


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The channels dealt out as cards: the first of every group, then the second of every group.

    It is the transposition of a table with `groups` rows, so a shuffle with `C / groups` undoes it.

    Shape:
        `(B, C, *S)` to the same; C a multiple of `groups`.

    Raises:
        ShapeError: If C is not a multiple of `groups`.

    Example:
        >>> import torch
        >>> channel_shuffle(torch.arange(6).view(1, 6, 1, 1), 2).flatten().tolist()
        [0, 3, 1, 4, 2, 5]

    Source: Zhang et al., "ShuffleNet", CVPR 2018.
    """
    if groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"{x.shape[1]} channels cannot be shuffled in {groups} groups of equal size; make the "
            f"channels a multiple of the groups."
        )
    return F.channel_shuffle(x, groups)
