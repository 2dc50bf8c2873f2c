"""Count, for every pair of classes, the pixels of the one that were called the other."""

from typing import Self

import torch
from torch import Tensor

from atrous.errors import DataError, ShapeError
from atrous.types import UNLABELLED


def confusion_matrix(truth: Tensor, prediction: Tensor, *, num_classes: int) -> Tensor:
    """Pixel counts, truth by prediction: `(num_classes + 1, num_classes)` int64.

    Row t, column p counts the pixels of class t that were predicted as p. The last row counts
    those whose truth is unlabelled (255): what to do with them is the scoring protocol's choice.

    Args:
        truth: Class indices and 255, of any integer type.
        prediction: Class indices, of any integer type.
        num_classes: How many classes the network predicts.

    Shape:
        `truth` and `prediction` are equal and free: one image `(H, W)`, a batch, a volume. The
        matrix is on their device.

    Raises:
        ShapeError: If the shapes differ, a tensor is not of integers, `num_classes` is not in
            1 to 255, or the prediction holds a class outside it.
        DataError: If the truth holds a value that is neither a class nor 255.

    Example:
        >>> truth = torch.tensor([0, 0, 1, 255])
        >>> confusion_matrix(truth, torch.tensor([0, 1, 1, 0]), num_classes=2).tolist()
        [[1, 1], [0, 1], [1, 0]]
    """
    _check_form(truth, prediction, num_classes)
    rows = truth.to(torch.int64)  # first, because -1 as int8 would compare equal to 255
    is_labelled = rows != UNLABELLED
    rows = torch.where(is_labelled, rows, num_classes)
    columns = prediction.to(torch.int64)
    if truth.numel():
        _check_range(rows, is_labelled, columns, num_classes)
    counts = torch.bincount(
        (rows * num_classes + columns).flatten(), minlength=(num_classes + 1) * num_classes
    )
    return counts.reshape(num_classes + 1, num_classes)


class Confusion:
    """A confusion matrix that grows image by image.

    Args:
        num_classes: How many classes the network predicts.
        keeps_images: Keep each image's own matrix too, as the bootstrap needs them.
    """

    def __init__(self, *, num_classes: int, keeps_images: bool = False) -> None:
        self.num_classes = num_classes
        self.keeps_images = keeps_images
        self.num_images = 0
        self._total = torch.zeros(num_classes + 1, num_classes, dtype=torch.int64)
        self._images: list[Tensor] = []

    @property
    def matrix(self) -> Tensor:
        """The sum over all images, `(num_classes + 1, num_classes)` int64 on the CPU."""
        return self._total.clone()

    @property
    def image_matrices(self) -> Tensor:
        """One matrix an image, `(N, num_classes + 1, num_classes)` int64 on the CPU.

        Raises:
            DataError: If they were not kept.
        """
        if not self.keeps_images:
            raise DataError(
                "This Confusion kept only the sum; expected every image's matrix; "
                "construct it with keeps_images=True."
            )
        if not self._images:
            return self._total.new_zeros(0, *self._total.shape)
        return torch.stack(self._images)

    def add(self, truth: Tensor, prediction: Tensor) -> None:
        """Count one image (or volume); a batch given at once counts as one.

        Raises:
            ShapeError: As `confusion_matrix`.
            DataError: As `confusion_matrix`.
        """
        matrix = confusion_matrix(truth, prediction, num_classes=self.num_classes).cpu()
        self._total += matrix
        self.num_images += 1
        if self.keeps_images:
            self._images.append(matrix)

    def merge(self, other: Self) -> None:
        """Add what another counted, as if its images had been added here after these.

        Raises:
            ShapeError: If the other counts another number of classes.
            DataError: If this keeps images and the other did not.
        """
        if other.num_classes != self.num_classes:
            raise ShapeError(
                f"Cannot merge a Confusion of {other.num_classes} classes into one of "
                f"{self.num_classes}; expected equal numbers; count both alike."
            )
        if self.keeps_images:
            self._images.extend(other.image_matrices)
        self._total += other.matrix
        self.num_images += other.num_images


def _check_form(truth: Tensor, prediction: Tensor, num_classes: int) -> None:
    if not 1 <= num_classes <= UNLABELLED:
        raise ShapeError(
            f"num_classes={num_classes}; expected 1 to {UNLABELLED}, because truth "
            f"{UNLABELLED} means unlabelled; name the number of classes."
        )
    if truth.shape != prediction.shape:
        raise ShapeError(
            f"Truth is {tuple(truth.shape)} and prediction {tuple(prediction.shape)}; expected "
            "equal shapes of class indices; take the argmax of logits and resize to the truth."
        )
    for name, tensor in (("Truth", truth), ("Prediction", prediction)):
        if tensor.is_floating_point() or tensor.is_complex():
            raise ShapeError(
                f"{name} is {tensor.dtype}; expected integers, the class indices; "
                "take the argmax of logits."
            )


def _check_range(rows: Tensor, is_labelled: Tensor, columns: Tensor, num_classes: int) -> None:
    low, high = (int(bound) for bound in columns.aminmax())
    if low < 0 or high >= num_classes:
        raise ShapeError(
            f"The prediction holds class {low if low < 0 else high}; expected 0 to "
            f"{num_classes - 1}; set num_classes to the network's."
        )
    # The row after the last class is theirs who are unlabelled; no labelled pixel may enter it.
    low, high = (int(bound) for bound in torch.where(is_labelled, rows, 0).aminmax())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"The truth holds class {low if low < 0 else high}; expected 0 to "
            f"{num_classes - 1}, or {UNLABELLED} where unlabelled; correct the mask or num_classes."
        )
