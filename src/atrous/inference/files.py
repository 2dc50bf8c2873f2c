"""Many image files through one predictor: decode ahead, batch by size, go on past broken ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atrous.data.prefetch import batches, prefetch
from atrous.data.readers.image import read_rgb8
from atrous.data.readers.raster import DEFAULT_MAX_PIXELS
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
    num_workers: int = 2,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    batch_pixels: int = BATCH_PIXELS,
) -> Iterator[FileResult]:
    """Predict image files, yielding each as it is done; images of one size share a batch.

    Decoding runs in threads, a bounded number of files ahead of the network. The order is that of
    completion: a file waits until its batch is full or the files run out. A file that cannot be
    read gives a result with an `error`, and the rest goes on.

    Args:
        predictor: What is run.
        paths: Files to read.
        num_workers: Threads that decode.
        max_pixels: Larger images are errors, told from their header before decoding.
        batch_pixels: A batch holds at least one image, and more while they fit in this.
    """

    def decode(path: Path) -> FileResult:
        try:
            return FileResult(path=path, image=read_rgb8(path, max_pixels=max_pixels))
        except DataError as error:
            return FileResult(path=path, error=str(error))

    for batch in batches(
        prefetch(decode, paths, num_workers=num_workers),
        key=lambda read: None if read.image is None else read.image.shape,
        weight=lambda read: batch_pixels if read.image is None else read.image.size // 3,
        limit=batch_pixels,
    ):
        images = [read.image for read in batch if read.image is not None]
        if not images:
            yield from batch
            continue
        try:
            predictions = predictor.predict_batch(images)
        except DataError as error:  # too large for the memory that is free
            for read in batch:
                yield FileResult(path=read.path, error=f"{read.path}: {error}")
            continue
        for read, prediction in zip(batch, predictions, strict=True):
            yield FileResult(path=read.path, image=read.image, prediction=prediction)
