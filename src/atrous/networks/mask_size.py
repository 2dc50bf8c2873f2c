"""From a network's logits, at whatever size it answers, to masks of the image's size."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.types import Size

MaskResize: TypeAlias = Literal["nearest", "linear"]
"""`nearest` takes the likeliest class first and repeats it, as the published scripts do; `linear`
resizes the logits and takes the likeliest class then, for smoother outlines."""

_LINEAR = {4: "bilinear", 5: "trilinear"}


def masks_of(logits: Tensor, size: Size, *, resize: MaskResize) -> Tensor:
    """The likeliest class of every pixel.

    Shape:
        Logits `(B, C, *S)` to uint8 masks `(B, *size)`.

    Example:
        >>> masks_of(torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]), (1, 4), resize="nearest")
        tensor([[[1, 1, 0, 0]]], dtype=torch.uint8)
    """
    is_same = tuple(logits.shape[2:]) == tuple(size)
    if resize == "linear" and not is_same:
        logits = F.interpolate(logits, size=size, mode=_LINEAR[logits.ndim], align_corners=False)
        is_same = True
    masks = logits.argmax(1).to(torch.uint8)
    if is_same:
        return masks
    return F.interpolate(masks[:, None], size=size, mode="nearest-exact")[:, 0]
