"""Weights that make rare classes count: counted from the data once, kept, and named."""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from atrous._documents import read_json
from atrous._files import write_text
from atrous.data.dataset import Dataset
from atrous.data.prefetch import prefetch
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """How often each class occurs in a data set."""

    pixels: tuple[int, ...]
    """Pixels of each class."""
    image_pixels: tuple[int, ...]
    """All pixels, the unlabelled too, of the images in which the class occurs."""
    unlabelled: int
    """Pixels that nobody labelled."""
    num_images: int

    @property
    def absent(self) -> tuple[int, ...]:
        """Classes that no pixel has; every kind of weights gives them 0."""
        return tuple(c for c, pixels in enumerate(self.pixels) if pixels == 0)


def count_pixels(samples: Dataset, *, num_workers: int = 2) -> ClassCounts:
    """Count the pixels of each class over all masks of a data set.

    Raises:
        DataError: If a file is broken.
    """
    num_classes = samples.num_classes
    pixels = torch.zeros(num_classes, dtype=torch.int64)
    image_pixels = torch.zeros(num_classes, dtype=torch.int64)
    unlabelled = 0

    def count(index: int) -> Tensor:
        if samples.kind == "volumes":
            _, mask = samples.volume_and_mask(index)
        else:
            _, mask = samples.rgb8_and_mask(index)
        return torch.bincount(mask.flatten(), minlength=UNLABELLED + 1)

    for counts in prefetch(count, range(len(samples)), num_workers=num_workers):
        of_classes = counts[:num_classes]
        pixels += of_classes
        image_pixels += torch.where(of_classes > 0, counts.sum(), 0)
        unlabelled += int(counts[UNLABELLED])
    return ClassCounts(
        pixels=tuple(pixels.tolist()),
        image_pixels=tuple(image_pixels.tolist()),
        unlabelled=unlabelled,
        num_images=len(samples),
    )


def cached_counts(samples: Dataset, cache_file: Path, fingerprint: str) -> ClassCounts:
    """The counts that a file keeps for this fingerprint; else count, and keep them there.

    A file that cannot be read, or was made of other data, is replaced.

    Args:
        samples: What to count.
        cache_file: JSON, written atomically.
        fingerprint: Says which data these are; whatever changes with them.

    Raises:
        DataError: If a sample is broken, or the file cannot be written.
    """
    kept = _read(cache_file, fingerprint, samples)
    if kept is not None:
        return kept
    counts = count_pixels(samples)
    write_text(cache_file, json.dumps({"fingerprint": fingerprint, **asdict(counts)}) + "\n")
    return counts


def enet_weights(pixel_counts: Sequence[int], *, c: float = 1.02) -> Tensor:
    """1 / ln(c + p), p being the class's share of the labelled pixels; `(C,)` float32.

    From 1.42 for a class that is all there is to 50.5 for the rarest, with c = 1.02. A class that
    does not occur has weight 0.

    Raises:
        DataError: If no pixel is labelled.

    Source: Paszke et al., "ENet", 2016, section 5.1; ESPNet and ERFNet use c = 1.10.
    """
    total = _total(pixel_counts)
    return torch.tensor([1 / math.log(c + n / total) if n else 0.0 for n in pixel_counts])


def median_frequency_weights(
    pixel_counts: Sequence[int], image_pixel_counts: Sequence[int]
) -> Tensor:
    """median(f) / f, f being the class's share in the images where it occurs; `(C,)` float32.

    The median is over the classes that occur; a class that does not has weight 0.

    Args:
        pixel_counts: Pixels of each class.
        image_pixel_counts: All pixels, the unlabelled too, of the images in which the class occurs.

    Raises:
        DataError: If no pixel is labelled.

    Source: Badrinarayanan et al., "SegNet", 2017, section 4.1, after Eigen and Fergus, 2015.
    """
    _total(pixel_counts)
    shares = [
        n / of_images if n else None
        for n, of_images in zip(pixel_counts, image_pixel_counts, strict=True)
    ]
    present = sorted(share for share in shares if share is not None)
    middle = len(present) // 2
    median = (present[middle] + present[-middle - 1]) / 2
    return torch.tensor([median / share if share else 0.0 for share in shares])


CLASS_WEIGHTS: Final[Mapping[str, Callable[[ClassCounts], Tensor | None]]] = MappingProxyType(
    {
        "enet": lambda counts: enet_weights(counts.pixels),
        "espnet": lambda counts: enet_weights(counts.pixels, c=1.10),
        "median_frequency": lambda counts: median_frequency_weights(
            counts.pixels, counts.image_pixels
        ),
        "none": lambda _: None,
    }
)


def class_weights(name: str, counts: ClassCounts) -> Tensor | None:
    """Weights by name, `(C,)` float32, or none; logs a warning if a class does not occur.

    Raises:
        UnknownNameError: If no weights have that name.
        DataError: If no pixel is labelled.
    """
    if name not in CLASS_WEIGHTS:
        raise UnknownNameError("kind of class weights", name, CLASS_WEIGHTS)
    weights = CLASS_WEIGHTS[name](counts)
    if weights is not None and counts.absent:
        _log.warning(
            "classes %s occur nowhere in the data: their weight is 0",
            ", ".join(map(str, counts.absent)),
        )
    return weights


def _total(pixel_counts: Sequence[int]) -> int:
    total = sum(pixel_counts)
    if total == 0:
        raise DataError(
            "No pixel of the data is labelled; expected some of each class, to weigh them by; "
            "check the masks."
        )
    return total


def _read(cache_file: Path, fingerprint: str, samples: Dataset) -> ClassCounts | None:
    try:
        kept = read_json(cache_file)
        if kept["fingerprint"] != fingerprint:
            return None
        counts = ClassCounts(
            pixels=tuple(int(pixels) for pixels in kept["pixels"]),
            image_pixels=tuple(int(pixels) for pixels in kept["image_pixels"]),
            unlabelled=int(kept["unlabelled"]),
            num_images=int(kept["num_images"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        _log.warning("%s is no record of class counts (%s): counting again", cache_file, error)
        return None
    is_of_these = (counts.num_images, len(counts.pixels), len(counts.image_pixels)) == (
        len(samples),
        samples.num_classes,
        samples.num_classes,
    )
    return counts if is_of_these else None
