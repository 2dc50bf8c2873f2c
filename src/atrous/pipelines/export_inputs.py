"""On what an exported graph is compared with its network: images of a folder, or noise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.data.listing import list_images
from atrous.data.photos.read import read_rgb8
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing, preprocess
from atrous.runtimes.certificate import sizes_to_compare
from atrous.runtimes.graph import Signature
from atrous.types import Size


def comparison_inputs(
    card: Card, signature: Signature, folder: Path | None
) -> tuple[list[Tensor], str]:
    """What network and graph are compared on, and what that is in words.

    Args:
        card: Of the network.
        signature: Of the graph: pixels, or prepared tensors.
        folder: Of images; None for noise.

    Raises:
        DataError: If the folder holds no image, or the network takes scans.
    """
    sizes = sizes_to_compare(card, signature)
    # The batch is free, so the last is of two.
    pixels = [_noise(card, size, 1 + (size == sizes[-1])) for size in sizes]
    said = f"{len(sizes)} images of noise"
    if folder is not None:
        if card.volume is not None:
            raise DataError(
                f"{card.name} takes scans, and --images are photos; leave --images out."
            )
        pixels = [_photo(path, size) for path, size in _chosen(folder, sizes)]
        said = f"{len(pixels)} images of {folder.name}"
    if signature.takes == "pixels":
        return [x.movedim(1, -1).contiguous() for x in pixels], said
    if card.volume is not None:
        return [x.float().div(64).sub(2) for x in pixels], said
    return [preprocess(x.float().div(255), _without_size(card)) for x in pixels], said


def _without_size(card: Card) -> Preprocessing:
    return replace(card.preprocessing, size=None, shorter_side=None)


def _noise(card: Card, size: Size, batch: int) -> Tensor:
    """Blobs of 8 bits, `(batch, C, *S)`, which networks answer with more than one class."""
    generator = torch.Generator().manual_seed(len(size) * 1000 + size[0])
    channels = len(card.preprocessing.mean if card.volume is None else card.volume.channel_names)
    coarse = torch.rand(batch, channels, *(4 + n // 24 for n in size), generator=generator)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    smooth = F.interpolate(coarse, size=size, mode=mode, align_corners=False)
    fine = torch.rand(batch, channels, *size, generator=generator)
    return (smooth * 210 + fine * 45).to(torch.uint8)


def _chosen(folder: Path, sizes: Sequence[Size]) -> list[tuple[Path, Size]]:
    """Up to a dozen images of a folder, each with the size it is compared at."""
    paths = list_images([folder])
    if not paths:
        raise DataError(f"{folder}: no images here; expected some to compare on; check the path.")
    chosen = paths[:: max(1, len(paths) // 12)][:12]
    return [(path, sizes[index % len(sizes)]) for index, path in enumerate(chosen)]


def _photo(path: Path, size: Size) -> Tensor:
    picture = Image.fromarray(read_rgb8(path)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return (
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        .reshape(1, *size, 3)
        .movedim(-1, 1)
    )
