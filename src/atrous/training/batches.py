"""What training is fed: which samples in which order, read, kept, augmented, put into batches.

Nothing here has a state. The order of an epoch depends on the seed and the epoch, a sample's view
on the seed, the epoch and the sample; so any step of any epoch can be made again, by any number of
worker processes, which is what makes a resumed training equal to one that was never stopped.
"""

import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data import Dataset as TorchDataset

from atrous.data.augment.photos import Augmentation, augment, sample_rng
from atrous.data.dataset import Dataset
from atrous.errors import AtrousError, DataError
from atrous.training.recipe.recipe import Recipe
from atrous.types import Size

NO_LABEL = -1
"""Stands for the label of a sample that has none."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which view of which sample: all that a worker needs to make it."""

    epoch: int
    index: int
    size: Size | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step is made of, of this process's share of the samples.

    Attributes:
        images: `(B, 3, H, W)` uint8 RGB, `(B, C, H, W)` float32 of other channels, not normalised,
            or `(B, C, D, H, W)` float32 as the network is fed them.
        masks: `(B, *S)` int64, 255 where unlabelled; None for label layouts.
        labels: `(B,)` int64, or after mixing shares `(B, K)` float32; None for mask layouts.
        names: Of the samples, for messages.
    """

    images: Tensor
    masks: Tensor | None
    labels: Tensor | None
    names: tuple[str, ...]


class Views(TorchDataset[tuple[Tensor, Tensor | None, int, str]]):
    """Augmented views of a layout's samples by `Key`.

    Args:
        layout: Of masks, of labels or both.
        augmentation: How far views may differ; its size is overruled by the key's.
        seed: Of the whole training.
        keeps_images: Read and decode every sample once, now, and keep it in memory; worker
            processes share that memory.
        with_labels: Give the labels of a layout that has masks too.
    """

    def __init__(
        self,
        layout: Dataset,
        augmentation: Augmentation,
        *,
        seed: int,
        keeps_images: bool,
        with_labels: bool,
    ) -> None:
        self.layout = layout
        self.augmentation = augmentation
        self.seed = seed
        self.with_labels = with_labels
        self._kept = (
            [_read(layout, index) for index in range(len(layout))] if keeps_images else None
        )

    def __len__(self) -> int:
        return len(self.layout)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor | None, int, str]:
        kept = self._kept
        pixels, mask = _read(self.layout, key.index) if kept is None else kept[key.index]
        rng = sample_rng(self.seed, epoch=key.epoch, index=key.index)
        augmentation = _sized(self.augmentation, key.size)
        image, seen = augment(torch.from_numpy(pixels).permute(2, 0, 1), mask, augmentation, rng)
        label = NO_LABEL
        if self.with_labels and self.layout.has_labels:
            label = self.layout.labels[key.index]
        return image, seen, label, self.layout.names[key.index]


class DrawnPatches(TorchDataset[tuple[Tensor, Tensor | None, int, str]]):
    """Augmented views of patches that a layout draws, another for every `Key`.

    Args:
        layout: That draws them.
        augmentation: How far views may differ; its size is overruled by the key's.
        seed: Of the whole training.
        num_patches: Of an epoch.
    """

    def __init__(
        self, layout: Dataset, augmentation: Augmentation, *, seed: int, num_patches: int
    ) -> None:
        self.layout, self.augmentation = layout, augmentation
        self.seed, self.num_patches = seed, num_patches

    def __len__(self) -> int:
        return self.num_patches

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor | None, int, str]:
        rng = sample_rng(self.seed, epoch=key.epoch, index=key.index)
        pixels, mask, name = self.layout.draw(rng)
        augmentation = _sized(self.augmentation, key.size)
        image, seen = augment(
            torch.from_numpy(pixels).permute(2, 0, 1), mask.to(torch.uint8), augmentation, rng
        )
        return image, seen, NO_LABEL, name


class AnyViews(Protocol):
    """Samples by `Key`, as many as there are."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor | None, int, str]: ...


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Whole batches in an epoch; the samples left over take part in other epochs.

    Raises:
        DataError: If there are fewer samples than a batch holds.
    """
    if num_samples < batch_size:
        raise DataError(
            f"The training data has {num_samples} samples, but batch_size is {batch_size}; "
            "expected at least one whole batch; lower batch_size."
        )
    return num_samples // batch_size


def epoch_order(num_samples: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Indices of all samples in the order of an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(num_samples)


def plan(
    recipe: Recipe, *, num_samples: int, first_step: int, rank: int = 0, num_processes: int = 1
) -> Iterator[list[Key]]:
    """This process's part of every batch from `first_step` to the end of the last epoch.

    The processes' parts of a step are together the batch that one process would have.
    """
    num_steps = steps_per_epoch(num_samples, recipe.batch_size)
    total = num_steps * recipe.epochs
    epoch, order = -1, np.empty(0, dtype=np.int64)
    for step in range(first_step, total):
        if step // num_steps != epoch:
            epoch = step // num_steps
            order = epoch_order(num_samples, seed=recipe.seed, epoch=epoch)
        size = recipe.size_in(epoch)
        start = step % num_steps * recipe.batch_size
        batch = order[start : start + recipe.batch_size][rank::num_processes]
        yield [Key(epoch, int(index), size) for index in batch]


class _Plan:
    """An iterable that starts anew each time, as the loader wants its batches."""

    def __init__(
        self, recipe: Recipe, *, num_samples: int, first_step: int, rank: int, num_processes: int
    ) -> None:
        self.recipe, self.num_samples, self.first_step = recipe, num_samples, first_step
        self.rank, self.num_processes = rank, num_processes

    def __iter__(self) -> Iterator[list[Key]]:
        return plan(
            self.recipe,
            num_samples=self.num_samples,
            first_step=self.first_step,
            rank=self.rank,
            num_processes=self.num_processes,
        )


def feed(
    views: AnyViews, recipe: Recipe, *, first_step: int = 0, rank: int = 0, num_processes: int = 1
) -> Iterator[Batch]:
    """Batches of this process from `first_step` to the end of the training.

    Raises:
        DataError: If there are fewer samples than a batch holds, or more processes.
    """
    if recipe.batch_size % num_processes:
        raise DataError(
            f"batch_size = {recipe.batch_size} cannot be shared evenly by {num_processes} "
            f"processes; expected a multiple; change one of them."
        )
    _check_shared_memory(views, recipe, batch_size=recipe.batch_size // num_processes)
    with warnings.catch_warnings():
        # Of more workers than cores, which the recipe has asked for.
        warnings.simplefilter("ignore", UserWarning)
        loader = _loader(views, recipe, first_step, rank, num_processes)
    for batch in loader:
        if isinstance(batch, AtrousError):
            raise batch
        yield batch


def _loader(
    views: AnyViews, recipe: Recipe, first_step: int, rank: int, num_processes: int
) -> DataLoader[Any]:
    return DataLoader(
        _WholeBatches(views),
        batch_sampler=_Plan(
            recipe,
            num_samples=len(views),
            first_step=first_step,
            rank=rank,
            num_processes=num_processes,
        ),
        num_workers=recipe.num_workers,
        collate_fn=_as_it_is,
        worker_init_fn=_start_worker,
        prefetch_factor=_PREFETCH if recipe.num_workers else None,
        generator=torch.Generator(),  # of its own, so that the training's random numbers stay put
    )


class _WholeBatches(TorchDataset[Any]):
    """Batches by their keys; an error is handed over as it is.

    What a worker raises comes to the main process wrapped in the worker's traceback.
    """

    def __init__(self, views: AnyViews) -> None:
        self.views = views

    def __getitems__(self, keys: list[Key]) -> Batch | AtrousError:
        try:
            return _collate([self.views[key] for key in keys])
        except AtrousError as error:
            # Not every error can be pickled; what it says can.
            return error if get_worker_info() is None else DataError(str(error))


def _as_it_is(batch: Any) -> Any:  # noqa: ANN401 - as torch types what it hands over
    return batch


def _read(layout: Dataset, index: int) -> tuple[NDArray[np.uint8 | np.float32], Tensor | None]:
    if layout.has_masks:
        pixels, mask = layout.pixels_and_mask(index)
        return pixels, mask.to(torch.uint8)  # 255 and the classes fit, at an eighth of the memory
    assert layout.has_labels  # volumes have views of their own
    return layout.rgb8(index), None


def _sized(augmentation: Augmentation, size: Size | None) -> Augmentation:
    if size == augmentation.size:
        return augmentation
    return replace(augmentation, size=size)


def _collate(samples: Sequence[tuple[Tensor, Tensor | None, int, str]]) -> Batch:
    images = [image for image, _, _, _ in samples]
    if len({image.shape for image in images}) > 1:
        shapes = sorted({tuple(image.shape[1:]) for image in images})
        raise DataError(
            f"The images of a batch have the sizes {shapes}; expected one; give the recipe a size."
        )
    masks = [mask for _, mask, _, _ in samples if mask is not None]
    labels = [label for _, _, label, _ in samples]
    return Batch(
        torch.stack(images),
        torch.stack(masks).long() if masks else None,
        None if NO_LABEL in labels else torch.tensor(labels),
        tuple(name for _, _, _, name in samples),
    )


def _start_worker(_worker: int) -> None:
    """One thread each; signals to all are for the process that trains, which ends the workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _LetPass())


class _LetPass:
    """Takes SIGTERM as one to the whole group at first; a later one is meant for this process."""

    def __init__(self) -> None:
        self.since: float | None = None

    def __call__(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if self.since is None:
            self.since = now
        elif now - self.since > SAME_SIGNAL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


SAME_SIGNAL: Final = 2.0
"""Seconds within which signals are one: `timeout` and torchrun send theirs to the process, and
again to its group."""
_PREFETCH: Final = 4
"""Batches that each worker makes ahead."""


def _check_shared_memory(views: AnyViews, recipe: Recipe, *, batch_size: int) -> None:
    """See that the batches on their way from the workers fit into shared memory.

    Where they do not, torch stands still or is killed by a bus error, without a word.

    Raises:
        DataError: If they do not.
    """
    folder = Path("/dev/shm")  # noqa: S108 - looked at, not written in
    if not recipe.num_workers or not folder.is_dir():
        return
    image, mask, _, _ = views[Key(0, 0, recipe.size_in(0))]
    sample = image.numel() * image.element_size() + (0 if mask is None else 8 * mask.numel())
    needed = recipe.num_workers * _PREFETCH * batch_size * sample
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"num_workers = {recipe.num_workers} needs {needed / 1e6:,.0f} MB of shared memory for "
            f"batches on their way, and {folder} has {free / 1e6:,.0f} MB free; expected room for "
            "them; set num_workers = 0, or give it more (docker run --shm-size)."
        )
