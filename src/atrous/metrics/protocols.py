"""Scoring protocols by name: which pixels count, and which classes are averaged.

Papers that print "mIoU" mean different numbers. What differs most is the void: pixels that nobody
labelled, and the class that some networks have for them. On CamVid's validation set the choice
between the two protocols below moves one network's mean IoU from 68.7 to 70.1 %, so every score is
printed with its protocol.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics import iou as scores
from atrous.metrics.iou import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringProtocol:
    """A way to score that a paper or a field agreed on."""

    description: str
    """One line, to be printed beside the numbers."""
    counted: Callable[[Tensor, int | None], Tensor]
    """From `(..., C + 1, C)` counts and the void class to those the scores are taken from."""
    num_averaged: int | None = None
    """How many classes it is defined for, void not counted; None if for any number."""


def _void_is_a_class(matrix: Tensor, void_class: int | None) -> Tensor:
    if void_class is None:
        return matrix
    counted = matrix.clone()
    counted[..., void_class, :] += counted[..., -1, :]
    return counted[..., :-1, :]


def _void_ignored(matrix: Tensor, void_class: int | None) -> Tensor:
    counted = matrix[..., :-1, :].clone()
    if void_class is not None:
        counted[..., void_class, :] = 0
    return counted


PROTOCOLS: Final[Mapping[str, ScoringProtocol]] = MappingProxyType(
    {
        "camvid_published": ScoringProtocol(
            description=(
                "one matrix over all pixels; a class predicted on unlabelled pixels is its false "
                "positive; means over all classes but void; pixel accuracy counts void as a class"
            ),
            counted=_void_is_a_class,
        ),
        "cityscapes": ScoringProtocol(
            description=(
                "one matrix over the labelled pixels of the 19 classes, at the size of the truth; "
                "a void or ignored label predicted on a class is a miss; mean over the 19 classes"
            ),
            counted=_void_ignored,
            num_averaged=19,
        ),
        "voc": ScoringProtocol(
            description=(
                "one matrix over labelled pixels; mean over 21 classes, background one of them"
            ),
            counted=_void_ignored,
            num_averaged=21,
        ),
        "void_ignored": ScoringProtocol(
            description=(
                "one matrix over labelled pixels only; void predicted on a class is a miss; "
                "means over all classes but void"
            ),
            counted=_void_ignored,
        ),
    }
)
"""`camvid_published` gives the numbers ESPNet's authors printed for CamVid; `void_ignored` is what
most later papers and the usual libraries give. `cityscapes` and `voc` are the arithmetic of those
data sets' official scripts, which is the same, and refuse networks of other numbers of classes. A
class that neither truth nor prediction holds is left out of the mean, as Cityscapes' script does.

Source: Cordts et al., "The Cityscapes Dataset", CVPR 2016, and Everingham et al., "The Pascal
    Visual Object Classes Challenge", IJCV 2015, with their official evaluation code.
"""


def score(matrix: Tensor, *, protocol: str, void_class: int | None = None) -> Scores:
    """Scores of a confusion matrix by the rules of a named protocol.

    Args:
        matrix: `(C + 1, C)` pixel counts as `confusion_matrix` gives them, unlabelled truth last.
        protocol: A name in `PROTOCOLS`.
        void_class: The network's own class for unlabelled pixels, if it has one (11 for the
            authors' 12-class CamVid networks). Truth of that class counts as unlabelled too.

    Raises:
        UnknownNameError: If no protocol has that name.
        ShapeError: If the matrix is not `(C + 1, C)`, `void_class` is not one of its classes, or
            the protocol is for another number of classes.

    Example:
        >>> matrix = torch.tensor([[6, 2], [0, 4], [0, 4]])
        >>> score(matrix, protocol="void_ignored").class_iou
        (0.75, 0.6666666666666666)
        >>> score(matrix, protocol="camvid_published").class_iou
        (0.75, 0.4)
    """
    counted, averaged = apply_protocol(matrix, protocol=protocol, void_class=void_class)
    iou, dice = scores.class_iou(counted), scores.class_dice(counted)
    accuracy = scores.class_accuracy(counted)
    if void_class is not None and counted[void_class].sum() == 0:
        # Without void pixels in truth, no score of the void class says anything.
        iou[void_class] = dice[void_class] = torch.nan
    return Scores(
        protocol=protocol,
        averaged_classes=tuple(averaged.nonzero().flatten().tolist()),
        pixel_accuracy=float(scores.pixel_accuracy(counted)),
        mean_accuracy=float(scores.mean_over_classes(accuracy, averaged)),
        mean_iou=float(scores.mean_over_classes(iou, averaged)),
        mean_dice=float(scores.mean_over_classes(dice, averaged)),
        frequency_weighted_iou=float(scores.frequency_weighted_iou(counted, averaged)),
        class_accuracy=tuple(accuracy.tolist()),
        class_iou=tuple(iou.tolist()),
        class_dice=tuple(dice.tolist()),
    )


def check_protocol(protocol: str, *, num_classes: int, void_class: int | None) -> None:
    """Refuse a protocol that cannot score a network, before any image is run.

    Args:
        protocol: A name in `PROTOCOLS`.
        num_classes: Of the network, void counted.
        void_class: The network's own class for unlabelled pixels, if it has one.

    Raises:
        UnknownNameError: If no protocol has that name.
        ShapeError: If `void_class` is not a class, or the protocol is for another number of them.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    if void_class is not None and not 0 <= void_class < num_classes:
        raise ShapeError(
            f"void_class={void_class}; expected a class of the network, 0 to {num_classes - 1}, or "
            "None; leave it out if the network has no class for void."
        )
    found = num_classes - (void_class is not None)
    expected = PROTOCOLS[protocol].num_averaged
    if expected is not None and found != expected:
        raise ShapeError(
            f"The network has {found} classes besides void; expected {expected} for protocol "
            f"{protocol!r}; score it by 'void_ignored', or take a network of those classes."
        )


def apply_protocol(
    matrix: Tensor, *, protocol: str, void_class: int | None
) -> tuple[Tensor, Tensor]:
    """The counts a protocol scores, `(..., R, C)`, and the classes it averages, bool `(C,)`.

    Args:
        matrix: `(..., C + 1, C)` pixel counts; leading axes are kept.
        protocol: A name in `PROTOCOLS`.
        void_class: The network's own class for unlabelled pixels, if it has one.

    Raises:
        UnknownNameError: As `check_protocol`.
        ShapeError: As `check_protocol`, and if the matrix is not `(..., C + 1, C)`.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    num_classes = matrix.shape[-1] if matrix.ndim else 0
    if matrix.ndim < 2 or matrix.shape[-2] != num_classes + 1:
        raise ShapeError(
            f"The confusion matrix is {tuple(matrix.shape)}; expected (C + 1, C), with unlabelled "
            "truth in the last row; use confusion_matrix."
        )
    check_protocol(protocol, num_classes=num_classes, void_class=void_class)
    averaged = torch.ones(num_classes, dtype=torch.bool, device=matrix.device)
    if void_class is not None:
        averaged[void_class] = False
    return PROTOCOLS[protocol].counted(matrix, void_class), averaged
