"""Many image files through one predictor: decode ahead, batch by size, go on past broken ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atrous.data.photos.raster import DEFAULT_MAX_PIXELS
from atrous.data.photos.read import read_rgb8
from atrous.data.prefetch import batches, prefetch
from atrous.errors import DataError
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import Predictor

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


def predict_files(
    predictor: Predictor,
    paths: Iterable[Path],
    *,
    foreground: int | None = None,
    num_workers: int = 2,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    batch_pixels: int = BATCH_PIXELS,
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
    """
    decoded = _decode(paths, num_workers=num_workers, max_pixels=max_pixels)
    run: Callable[[Sequence[NDArray[np.uint8]]], list[Prediction]] = predictor.predict_batch
    if foreground is not None:
        run = partial(predictor.predict_foreground, foreground=foreground)
    yield from _run(run, decoded, batch_pixels)


def _decode(
    paths: Iterable[Path], *, num_workers: int, max_pixels: int
) -> Iterator[tuple[Path, NDArray[np.uint8] | str]]:
    """Every path with its image, or with the reason why there is none."""

    def decode(path: Path) -> tuple[Path, NDArray[np.uint8] | str]:
        try:
            return path, read_rgb8(path, max_pixels=max_pixels)
        except DataError as error:
            return path, str(error)

    return prefetch(decode, paths, num_workers=num_workers)


def _run(
    predict_batch: Callable[[Sequence[NDArray[np.uint8]]], list[Prediction]],
    decoded: Iterator[tuple[Path, NDArray[np.uint8] | str]],
    batch_pixels: int,
) -> Iterator[FileResult]:
    for batch in batches(
        decoded,
        key=lambda read: None if isinstance(read[1], str) else read[1].shape,
        weight=lambda read: batch_pixels if isinstance(read[1], str) else read[1].size // 3,
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
            yield FileResult(path=path, image=image, prediction=prediction)
