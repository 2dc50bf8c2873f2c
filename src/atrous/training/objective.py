"""From what a network of each task gives to the one number that training makes small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.resize import resize_linear
from atrous.errors import DataError, ShapeError
from atrous.networks.catalog import Task
from atrous.training.batches import Batch
from atrous.training.losses.catalog import Loss, sum_of_losses
from atrous.training.losses.cross_entropy import cross_entropy
from atrous.training.mix import check_mix
from atrous.training.recipe.recipe import Recipe

Outputs: TypeAlias = tuple[Tensor, ...]
"""A network's main answer, or a joint network's two, and then those of its auxiliary heads."""

_ForwardWithAuxiliary: TypeAlias = Callable[[Tensor], tuple[Any, ...]]
"""Main answers, then the auxiliary ones: a tensor or a list of them."""


class TrainingModule(nn.Module):
    """A network as training calls it: one forward that also gives the auxiliary heads' answers.

    Data-parallel wrappers see `forward` only, so it cannot be a method beside it.

    Args:
        network: Of the catalog.
        with_auxiliary: Call `network.forward_with_auxiliary`.

    Shape:
        `(B, C, *S)` to a tuple: the network's answer or answers, then the auxiliary ones.

    Raises:
        ShapeError: If auxiliary answers are asked for and the network has none.
    """

    def __init__(self, network: nn.Module, *, with_auxiliary: bool = False) -> None:
        super().__init__()
        if with_auxiliary and not hasattr(network, "forward_with_auxiliary"):
            raise ShapeError(
                "auxiliary_weight is above 0, but the network has no auxiliary heads; set it to 0, "
                "or give network_arguments has_auxiliary = true if it can have them."
            )
        self.network = network
        self.with_auxiliary = with_auxiliary

    def forward(self, x: Tensor) -> Outputs:
        if not self.with_auxiliary:
            outputs = self.network(x)
            return outputs if isinstance(outputs, tuple) else (outputs,)
        forward = cast("_ForwardWithAuxiliary", self.network.forward_with_auxiliary)
        *main, early = forward(x)
        return (*main, *(early if isinstance(early, list) else (early,)))


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a task, with its parts by name."""

    task: Task
    num_classes: int
    loss: Loss
    auxiliary_weight: float
    auxiliary_decay: float
    diagnosis_weight: float
    label_smoothing: float
    label_factor: float = 1.0
    """Factor of the labels' cross entropy, of classifiers."""

    def __call__(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and where it has several its parts, without their gradients.

        Raises:
            DataError: If the batch lacks the masks or labels that the task is learned from.
        """
        if self.task == "classification":
            main = self._labels(outputs[0], batch)
            early = [self._labels(output, batch) for output in outputs[1:]]
            parts = {"labels": main}
        else:
            main = self._masks(outputs[0], batch)
            parts = {"masks": main}
            first_early = 1
            if self.task == "joint":
                diagnosis = self._labels(outputs[1], batch)
                parts["labels"] = diagnosis
                main = main + self.diagnosis_weight * diagnosis
                first_early = 2
            early = [self._masks(output, batch) for output in outputs[first_early:]]
        total = main
        if early:
            parts["auxiliary"] = torch.stack(early).mean()
            factors = [self.auxiliary_weight * self.auxiliary_decay**i for i in range(len(early))]
            total = total + sum(f * loss for f, loss in zip(factors, early, strict=True))
        if len(parts) == 1:  # it is the total
            return total, {}
        return total, {name: part.detach() for name, part in parts.items()}

    def _masks(self, logits: Tensor, batch: Batch) -> Tensor:
        if batch.masks is None:
            raise DataError("The network gives masks, but the data has none; name another layout.")
        target = batch.masks
        if logits.shape[2:] != target.shape[1:]:  # auxiliary heads may answer at their own size
            logits = resize_linear(logits, tuple(target.shape[1:]), align_corners=False)
        return self.loss(logits, target)

    def _labels(self, logits: Tensor, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise DataError("The network gives labels, but the data has none; name another layout.")
        if self.task == "joint":  # the recipe's losses are those of masks
            return cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing)
        if batch.labels.ndim == 2:  # shares of a mixed image; PyTorch knows these
            return self.label_factor * F.cross_entropy(
                logits.float(), batch.labels, label_smoothing=self.label_smoothing
            )
        return self.loss(logits, batch.labels)


def objective_of(
    recipe: Recipe,
    task: Task,
    *,
    num_classes: int,
    class_weights: Tensor | None,
    regions: Sequence[Sequence[int]] = (),
) -> Objective:
    """The recipe's objective for a network of this task; regions are lists of class indices.

    Raises:
        UnknownNameError: If a loss is not known.
        DataError: If a classifier is to learn by a loss or by weights of masks.
    """
    loss: Loss
    check_mix(recipe, task)
    if task == "classification":
        if set(recipe.losses) != {"cross_entropy"}:
            raise DataError(
                f"The recipe has losses {', '.join(recipe.losses)}; expected cross_entropy alone "
                "for a classifier; the others are for masks."
            )
        if recipe.class_weights != "none":
            raise DataError(
                f"class_weights is {recipe.class_weights!r}, which is counted from the pixels of "
                "masks, but a classifier's data has none; set it to 'none'."
            )
        factor = recipe.losses["cross_entropy"]

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            return factor * cross_entropy(
                logits,
                target,
                class_weights=class_weights,
                label_smoothing=recipe.label_smoothing,
            )
    else:
        loss = sum_of_losses(
            recipe.losses,
            class_weights=class_weights,
            regions=regions,
            # Of networks that give both it is that of the labels.
            label_smoothing=recipe.label_smoothing if task == "segmentation" else 0.0,
        )
    return Objective(
        task,
        num_classes,
        loss,
        recipe.auxiliary_weight,
        recipe.auxiliary_decay,
        recipe.diagnosis_weight,
        recipe.label_smoothing,
        recipe.losses["cross_entropy"] if task == "classification" else 1.0,
    )
