"""From a network's logits, at whatever size it answers, to masks of the image's size."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous._argmax import argmax_classes
from atrous.blocks.nd import LINEAR_MODE
from atrous.blocks.resize import is_free
from atrous.types import Size

MaskResize: TypeAlias = Literal["nearest", "linear"]
"""`nearest` takes the likeliest class first and repeats it, as the published scripts do; `linear`
resizes the logits and takes the likeliest class then, for smoother outlines."""


def resize_logits(logits: Tensor, size: Size, *, resize: MaskResize) -> Tensor:
    """Logits at another spatial size; themselves if they have it.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.
    """
    if not is_free(logits) and tuple(logits.shape[2:]) == tuple(size):
        return logits
    if resize == "nearest":
        return F.interpolate(logits, size=size, mode="nearest-exact")
    mode = LINEAR_MODE[2 if logits.ndim == 4 else 3]
    return F.interpolate(logits, size=size, mode=mode, align_corners=False)


def logits_to_masks(logits: Tensor, size: Size, *, resize: MaskResize) -> Tensor:
    """The likeliest class of every pixel.

    Shape:
        Logits `(B, C, *S)` to uint8 masks `(B, *size)`.

    Example:
        >>> logits_to_masks(torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]), (1, 4), resize="nearest")
        tensor([[[1, 1, 0, 0]]], dtype=torch.uint8)
    """
    if resize == "linear":
        logits = resize_logits(logits, size, resize=resize)
    masks = argmax_classes(logits, dim=1)[:, None].to(torch.uint8)
    # By nearest, the few classes of small masks are repeated, not all their logits.
    return resize_logits(masks, size, resize="nearest")[:, 0]
