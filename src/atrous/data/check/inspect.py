"""A look at one sample: all that a check of the data needs of it, and none of its pixels."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atrous.data.check.report import Problem
from atrous.data.check.volumes import ScanSummary, summarise_scan
from atrous.data.dataset import Dataset, MaskSizeError, MaskValueError
from atrous.data.photos.read import read_rgb8
from atrous.data.volumes.geometry import Volume
from atrous.data.volumes.slice import slice_and_mask
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

THUMBNAIL: Final = 16
"""Side of the small grey pictures that images are compared by, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """What an image is recognised by."""

    name: str
    size: Size
    """`(H, W)`, or `(D, H, W)`."""
    is_grey: bool
    digest: bytes
    """Equal for equal pixels."""
    thumbnail: NDArray[np.uint8]
    """`(16, 16)` grey levels, whatever the image's proportions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """What was found in one sample."""

    name: str
    image: ImageSummary | None
    """None if the image cannot be read."""
    class_pixels: NDArray[np.int64] | None
    """Pixels of every class and, last, of the unlabelled; None without a usable mask."""
    mask_digest: bytes
    """Equal for equal masks; empty without one."""
    problem: Problem | None
    """What makes the sample useless."""
    volume: ScanSummary | None = None
    """Of scans: how they lie and what they hold."""


def summarise_sample(layout: Dataset, index: int, name: str) -> SampleSummary:
    """Read sample `index`, which has that name; what is wrong with it is told, not raised."""
    try:
        if layout.kind == "volumes":
            return _look_at_volume(layout, index, name)
        if layout.has_masks:
            rgb, mask = layout.rgb8_and_mask(index)
            pixels = _count(mask, layout.num_classes)
            return SampleSummary(
                name=name,
                image=_image_look(name, rgb),
                class_pixels=pixels,
                mask_digest=_digest(mask.numpy().astype(np.uint8)),
                problem=None,
            )
        rgb = layout.rgb8(index)
    except DataError as error:
        problem = Problem(kind=_kind_of(error), names=(name,), text=str(error))
        image = summarise_image(layout, index, name)  # the mask alone may be broken
        return SampleSummary(
            name=name, image=image, class_pixels=None, mask_digest=b"", problem=problem
        )
    return SampleSummary(
        name=name,
        image=_image_look(name, rgb),
        class_pixels=None,
        mask_digest=b"",
        problem=None,
    )


def summarise_image(layout: Dataset, index: int, name: str) -> ImageSummary | None:
    """What the image of sample `index` is recognised by; None if it cannot be read."""
    try:
        if layout.kind == "volumes":
            return _volume_look(name, layout.volume(index))
        rgb = read_rgb8(layout.files(index)[0])
    except DataError:
        return None
    return _image_look(name, rgb)


def _look_at_volume(layout: Dataset, index: int, name: str) -> SampleSummary:
    volume, mask = layout.volume_and_mask(index)
    return SampleSummary(
        name=name,
        image=_volume_look(name, volume),
        class_pixels=_count(mask, layout.num_classes),
        mask_digest=_digest(mask.numpy().astype(np.uint8)),
        problem=None,
        volume=summarise_scan(volume),
    )


def _volume_look(name: str, volume: Volume) -> ImageSummary:
    """By all voxels, and a thumbnail of the middle slice."""
    look = _image_look(name, slice_and_mask(volume, None)[0])
    return replace(look, size=volume.array.shape[1:], digest=_digest(volume.array))


def _kind_of(error: DataError) -> str:
    if isinstance(error, MaskSizeError):
        return "mask_size"
    return "mask_value" if isinstance(error, MaskValueError) else "unreadable"


def _image_look(name: str, rgb: NDArray[np.uint8]) -> ImageSummary:
    red, green, blue = (rgb[..., channel] for channel in range(3))
    small = Image.fromarray(rgb).convert("L")
    small = small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return ImageSummary(
        name=name,
        size=rgb.shape[:2],
        is_grey=bool((red == green).all() and (green == blue).all()),
        digest=_digest(rgb),
        thumbnail=np.asarray(small),
    )


def _digest(pixels: NDArray[np.uint8] | NDArray[np.float32]) -> bytes:
    shape = ",".join(map(str, pixels.shape))
    digest = hashlib.blake2b(shape.encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def _count(mask: Tensor, num_classes: int) -> NDArray[np.int64]:
    """Pixels of every class and, last, of the unlabelled: `(num_classes + 1,)`."""
    counts = np.bincount(mask.numpy().ravel(), minlength=UNLABELLED + 1)
    return np.append(counts[:num_classes], counts[UNLABELLED])
