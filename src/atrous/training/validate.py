"""Measure a network while it is trained: by protocol, over all processes, no sample twice."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from atrous._argmax import argmax_classes
from atrous.data.dataset import Dataset
from atrous.evaluation.labels import evaluate_labels
from atrous.evaluation.masks import evaluate
from atrous.inference.tiles.sums import run_tiled
from atrous.inference.volumes.plan import plan_volume
from atrous.metrics.protocols import score
from atrous.metrics.topk import label_confusion
from atrous.networks.card import Card
from atrous.networks.catalog import Task
from atrous.networks.mask_resize import logits_to_masks
from atrous.networks.preprocessing.images import preprocess, unit_pixels
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.training.volume_cache import VolumeCache
from atrous.types import UNLABELLED


def dice_of_case(truth: Tensor, said: Tensor, members: Sequence[int]) -> float:
    """2 |A ∩ B| / (|A| + |B|) of the voxels of some classes; NaN where neither has any.

    NaN leaves a case out of the mean, as the protocol `absent_left_out` does, by which `evaluate`
    scores volumes unless it is told otherwise.

    Args:
        truth: `(D, H, W)` class indices; 255 where unlabelled, which is left out.
        said: The same of the prediction.
        members: The classes that are taken together.

    Example:
        >>> truth, said = torch.tensor([[[0, 1, 1, 2]]]), torch.tensor([[[0, 1, 2, 2]]])
        >>> dice_of_case(truth, said, [1]), dice_of_case(truth, said, [1, 2])
        (0.6666666666666666, 1.0)
    """
    classes = torch.tensor(list(members))
    is_labelled = truth != UNLABELLED
    ours = torch.isin(said, classes.to(said)) & is_labelled
    theirs = torch.isin(truth, classes.to(truth)) & is_labelled
    total = int(ours.sum()) + int(theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else math.nan


def scored_parts(
    class_names: Sequence[str], regions: Mapping[str, tuple[int, ...]]
) -> Mapping[str, tuple[int, ...]]:
    """What is scored, by name: the regions, or where there are none all classes but the first.

    Example:
        >>> scored_parts(("background", "anterior", "posterior"), {})
        {'anterior': (1,), 'posterior': (2,)}
    """
    return regions or {name: (index,) for index, name in enumerate(class_names) if index}


def validate_volumes(
    network: nn.Module,
    volumes: VolumeCache,
    card: Card,
    *,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Mean Dice in percent: `dice`, the mean of all parts, and `dice_NAME` of each.

    Protocol `absent_left_out`: the mean of a part is over the cases where truth or prediction holds
    it; a part that no case holds is NaN, and left out of `dice`.

    Args:
        network: In evaluation mode, without gradients.
        volumes: Prepared; each goes through the network by `predict_volume`.
        card: For the classes, and the regions that are scored instead of them.
        accelerator: Whose processes share the cases, and whose device runs them.
    """
    parts = scored_parts(card.class_names, card.volume.regions if card.volume else {})
    sums, counts = torch.zeros(2, len(parts), dtype=torch.float64)
    for index in range(accelerator.process_index, len(volumes), accelerator.num_processes):
        image, mask = volumes[index].tensors()
        said = predict_volume(
            network, image, num_classes=len(card.class_names), device=accelerator.device
        )
        dice = torch.tensor(
            [dice_of_case(mask, said, members) for members in parts.values()], dtype=torch.float64
        )
        sums += dice.nan_to_num(0.0)
        counts += ~dice.isnan()
    both = torch.stack([sums, counts]).to(accelerator.device)
    total, number = accelerator.reduce(both, reduction="sum").cpu()
    means = 100 * total / number  # NaN where no case holds the part
    by_part = {f"dice_{name}": mean for name, mean in zip(parts, means.tolist(), strict=True)}
    return {"dice": float(means.nanmean()), **by_part}


def predict_volume(
    network: nn.Module, image: Tensor, *, num_classes: int, device: torch.device
) -> Tensor:
    """Class indices `(D, H, W)` uint8 of a prepared volume `(C, D, H, W)`.

    It goes through the network whole where that fits into what prediction takes by default, else
    in parts as there.
    """

    def logits(window: Tensor) -> Tensor:
        window = window.to(device).contiguous(memory_format=torch.channels_last_3d)
        found: Tensor = network(window)[0]
        return found

    x = image[None]
    padded = network.pad(x) if isinstance(network, Segmenter) else x
    size = tuple(padded.shape[2:])
    plan = plan_volume(network, size, in_channels=len(image), num_classes=num_classes)
    if plan.kind == "whole":
        return argmax_classes(logits(x)).to(torch.uint8).cpu()
    said = run_tiled(
        lambda window: logits(window).float().cpu(),
        padded,
        plan.parts,
        is_blended=plan.kind == "blended",
    )
    said = said[(slice(None), *(slice(0, length) for length in image.shape[1:]))]
    return argmax_classes(said).to(torch.uint8)


Pixels = NDArray[np.uint8 | np.float32]
"""`(H, W, C)`: RGB of 8 bits, or other channels as floats."""
SELECTION_METRIC: Final[Mapping[str, str]] = {
    "segmentation": "miou",
    "joint": "miou",
    "classification": "top1",
}
"""The score by which the best weights of each task are kept."""


def selection_metric(task: Task, samples: Dataset) -> str:
    """The score by which the best weights of a task on such samples are kept."""
    return "dice" if samples.kind == "volumes" else SELECTION_METRIC[task]


@dataclass(frozen=True, slots=True)
class Validation:
    """What a network reached, in percent; not-a-number where it cannot be scored.

    Attributes:
        scores: By name: `miou`, `pixel_accuracy`; `top1`; `label_accuracy`; `dice`.
        class_iou: By class; empty for classifiers and for networks of volumes.
    """

    scores: Mapping[str, float]
    class_iou: Mapping[str, float]


def validate_on_volumes(
    network: nn.Module,
    volumes: VolumeCache,
    card: Card,
    *,
    accelerator: Accelerator,
) -> Validation:
    """Mean Dice of the network over all volumes, see `validate_volumes`; as `validate` else."""
    with evaluating(network):
        scores = validate_volumes(network, volumes, card, accelerator=accelerator)
    return Validation(scores, {})


def validate(
    network: nn.Module, samples: Dataset, card: Card, *, protocol: str, accelerator: Accelerator
) -> Validation:
    """Scores of the network over all samples, each process taking its share of them.

    Args:
        network: Put into eval mode for it, and back.
        samples: With what the card's task is measured by.
        card: For classes and preprocessing.
        protocol: Of masks, see `metrics.protocols`; labels are scored by their first guess.
        accelerator: Whose processes share the work, and whose device runs it.

    Raises:
        DataError: If a sample cannot be read, or the data has other classes.
        UnknownNameError: If no protocol has that name.
    """
    indices = range(accelerator.process_index, len(samples), accelerator.num_processes)
    with evaluating(network):
        runner = _Runner(network, card, accelerator.device)
        if card.task == "classification":
            return _validate_labels(runner, samples.require("labels"), indices, accelerator)
        counts = torch.zeros(len(card.class_names) + 1, len(card.class_names), dtype=torch.int64)
        order = []
        for count in evaluate(
            runner.masks, samples.require("masks"), class_names=card.class_names, indices=indices
        ):
            counts += count.matrix
            order.append(count.index)
    matrix = _sum(counts, accelerator)
    reached = score(matrix, protocol=protocol, void_class=card.void_class)
    scores = {
        "miou": 100 * reached.mean_iou,
        "class_average_accuracy": 100 * reached.mean_accuracy,
        "pixel_accuracy": 100 * reached.pixel_accuracy,
    }
    if card.task == "joint":
        labels = samples.require("labels").labels
        hits = sum(said == labels[index] for said, index in zip(runner.said, order, strict=True))
        total = int(_sum(torch.tensor(hits), accelerator))
        scores["label_accuracy"] = 100 * total / len(samples)
    by_class = zip(card.class_names, reached.class_iou, strict=True)
    return Validation(scores, {name: 100 * iou for name, iou in by_class})


def predict_masks(
    network: nn.Module,
    images: Sequence[Pixels],
    card: Card,
    *,
    device: torch.device,
) -> list[Tensor]:
    """Masks `(H, W)` of images `(H, W, C)` of any sizes, by a network that is in training."""
    with evaluating(network):
        runner = _Runner(network, card, device)
        return [runner.masks([image])[0] for image in images]


class _Runner:
    """A network as `evaluate` calls it; remembers what it said of whole images."""

    def __init__(self, network: nn.Module, card: Card, device: torch.device) -> None:
        self.network, self.card, self.device = network, card, device
        self.said: list[int] = []

    def masks(self, images: Sequence[Pixels]) -> list[Tensor]:
        outputs = self._run(images)
        if isinstance(outputs, tuple):
            outputs, labels = outputs
            self.said += labels.argmax(1).tolist()
        size = images[0].shape[:2]
        return list(logits_to_masks(outputs, size, resize=self.card.mask_resize).cpu())

    def probabilities(self, images: Sequence[Pixels]) -> list[Tensor]:
        outputs = self._run(images)
        assert isinstance(outputs, Tensor)  # the card's task says so
        return list(outputs.softmax(1).cpu())

    def _run(self, images: Sequence[Pixels]) -> Tensor | tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.device)
        x = preprocess(unit_pixels(pixels), self.card.preprocessing)
        return self.network(x.contiguous(memory_format=torch.channels_last))


def _validate_labels(
    runner: _Runner, samples: Dataset, indices: range, accelerator: Accelerator
) -> Validation:
    rankings = list(evaluate_labels(runner.probabilities, samples, indices=indices))
    truth = torch.tensor([ranking.truth for ranking in rankings], dtype=torch.int64)
    guess = torch.tensor([int(ranking.ranking[0]) for ranking in rankings], dtype=torch.int64)
    num_classes = len(runner.card.class_names)
    counts = label_confusion(truth, guess, num_classes=num_classes)
    matrix = _sum(counts, accelerator)
    return Validation({"top1": 100 * float(matrix.trace() / matrix.sum())}, {})


def _sum(counts: Tensor, accelerator: Accelerator) -> Tensor:
    """Over all processes; counts are whole numbers, so the sum is exact."""
    total: Tensor = accelerator.reduce(counts.to(accelerator.device), reduction="sum")
    return total.cpu()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients while the block runs, then every module's mode as before."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training
