"""Many image files through one predictor: decode ahead, batch by size, go on past broken ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.photos.bands import RGB, picture_of_bands, read_bands_like
from atrous.data.photos.raster import DEFAULT_MAX_PIXELS, UnreadTiffError, image_size
from atrous.data.photos.read import read_rgb8
from atrous.data.prefetch import batches, prefetch
from atrous.errors import DataError
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import Predictor
from atrous.inference.tiles.memory import (
    DEFAULT,
    MARGIN,
    SMALL_ENOUGH,
    MemoryModel,
    bytes_per_element,
    gigabytes_up,
)

BASE: Final = 940_000_000
"""Bytes of the program with its libraries and a small model, as measured."""
_LOCK: Final = Lock()
_PER_PIXEL: Final = 30
"""Bytes of a photo from its decoder to its overlay, of two classes: as measured, and a tenth."""
Pixels = NDArray[np.uint8 | np.float32]
"""RGB `(H, W, 3)` of 8 bits, or `(H, W, C)` of floats."""
Read = Callable[[Path, int], Pixels]
BATCH_PIXELS = 500_000
"""Pixels run at once: above this, batches gain no speed on a CPU and cost memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """One file: its image and prediction, or why there is none."""

    path: Path
    image: NDArray[np.uint8] | None = None
    """`(H, W, 3)`, RGB."""
    prediction: Prediction | None = None
    error: str | None = None


def photo_memory(predictor: Predictor, ceiling: int) -> MemoryModel:
    """What a photo takes from decoding to writing, under a ceiling in bytes."""
    facts = predictor.card.preprocessing
    probe = facts.size or (256, 256)
    channels = len(facts.mean)
    peak = MARGIN * bytes_per_element(predictor.fast_network, probe, channels)
    more_classes = 4 * max(0, len(predictor.card.class_names) - 2)
    if predictor.card.task == "classification":
        more_classes = 0
    if facts.size is None:  # feature maps are free again when the classes are compared
        each = _PER_PIXEL + max(peak, more_classes)
        return MemoryModel(ceiling=ceiling, fixed=BASE, per_element=each)
    fixed = BASE + round(peak * prod(facts.size))
    return MemoryModel(ceiling=ceiling, fixed=fixed, per_element=_PER_PIXEL + more_classes)


def predict_files(
    predictor: Predictor,
    paths: Iterable[Path],
    *,
    foreground: int | None = None,
    num_workers: int = 2,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    batch_pixels: int = BATCH_PIXELS,
    memory: int | None = None,
) -> Iterator[FileResult]:
    """What a model says of image files, yielding each as it is done; one size shares a batch.

    Decoding runs in threads, a bounded number of files ahead of the network. The order is that of
    completion: a file waits until its batch is full or the files run out. A file that cannot be
    read, or would not fit into memory, gives a result with an `error`, and the rest goes on.

    Args:
        predictor: What is run.
        paths: Files to read.
        foreground: Index of a class whose probability the predictions get as well.
        num_workers: Threads that decode.
        max_pixels: Larger images are errors, told from their header before decoding.
        batch_pixels: A batch holds at least one image, and more while they fit in this.
        memory: Ceiling in bytes; images that would take more are errors, told from their header
            before decoding. None for no such limit.
    """

    def check(path: Path) -> None:
        if memory is not None:
            _check_memory(path, predictor, memory)

    def read(path: Path, most: int) -> Pixels:
        if predictor.num_channels == RGB:
            return read_rgb8(path, max_pixels=most)
        return read_bands_like(path, predictor.num_channels, max_pixels=most)

    decoded = _decode(paths, num_workers=num_workers, max_pixels=max_pixels, check=check, read=read)
    run: Callable[[Sequence[Pixels]], list[Prediction]] = predictor.predict_batch
    if foreground is not None:
        run = partial(predictor.predict_foreground, foreground=foreground)
    yield from _run(run, decoded, batch_pixels)


def _decode(
    paths: Iterable[Path],
    *,
    num_workers: int,
    max_pixels: int,
    check: Callable[[Path], None],
    read: Read,
) -> Iterator[tuple[Path, Pixels | str]]:
    """Every path with its image, or with the reason why there is none."""

    def decode(path: Path) -> tuple[Path, Pixels | str]:
        try:
            check(path)
            return path, read(path, max_pixels)
        except DataError as error:
            return path, str(error)

    return prefetch(decode, paths, num_workers=num_workers)


def _check_memory(path: Path, predictor: Predictor, ceiling: int) -> None:
    try:
        size = image_size(path)
    except UnreadTiffError:  # another reader may know it; its limit is that of pixels
        return
    if prod(size) <= SMALL_ENOUGH and ceiling >= DEFAULT:
        return
    with _LOCK:  # the network's graph is looked at once, whichever thread comes first
        memory = photo_memory(predictor, ceiling)
    if not memory.fits(size):
        raise DataError(
            f"{path}: {size[0]} x {size[1]} pixels (H x W) need about "
            f"{gigabytes_up(memory.needed(size))} GB; expected at most "
            f"{memory.ceiling / 1e9:.1f} GB; raise --memory if you trust the file, or shrink it."
        )


def _run(
    predict_batch: Callable[[Sequence[Pixels]], list[Prediction]],
    decoded: Iterator[tuple[Path, Pixels | str]],
    batch_pixels: int,
) -> Iterator[FileResult]:
    for batch in batches(
        decoded,
        key=lambda read: None if isinstance(read[1], str) else read[1].shape,
        weight=lambda read: (
            batch_pixels if isinstance(read[1], str) else read[1].shape[0] * read[1].shape[1]
        ),
        limit=batch_pixels,
    ):
        images = [image for _, image in batch if not isinstance(image, str)]
        if not images:
            for path, reason in batch:
                unread: FileResult = FileResult(path=path, error=str(reason))
                yield unread
            continue
        paths = [path for path, _ in batch]
        try:
            predictions = predict_batch(images)
        except DataError as error:  # too large for the memory that is free
            for path in paths:
                unrun: FileResult = FileResult(path=path, error=f"{path}: {error}")
                yield unrun
            continue
        for path, image, prediction in zip(paths, images, predictions, strict=True):
            shown = picture_of_bands(image)
            yield FileResult(path=path, image=shown, prediction=prediction)
