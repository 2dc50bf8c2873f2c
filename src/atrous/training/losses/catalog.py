"""Losses by name, and sums of them: how a recipe says what to train for."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from torch import Tensor

from atrous.errors import ShapeError, UnknownNameError
from atrous.training.losses.boundary import boundary_loss
from atrous.training.losses.cross_entropy import cross_entropy
from atrous.training.losses.dice import dice_loss
from atrous.training.losses.focal import focal_loss
from atrous.training.losses.lovasz import lovasz_softmax
from atrous.training.losses.ohem import ohem_cross_entropy
from atrous.training.losses.region_dice import region_dice_loss

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Logits `(B, C, *S)` and target `(B, *S)` to one number."""


class LossFunction(Protocol):
    """The signature every loss has here, so that names are interchangeable."""

    def __call__(
        self, logits: Tensor, target: Tensor, /, *, class_weights: Tensor | None
    ) -> Tensor: ...


def _dice(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None,  # noqa: ARG001 - one signature for all
) -> Tensor:
    return dice_loss(logits, target)


def _lovasz(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None,  # noqa: ARG001 - one signature for all
) -> Tensor:
    return lovasz_softmax(logits, target)


LOSSES: Final[Mapping[str, LossFunction]] = MappingProxyType(
    {
        "boundary": boundary_loss,
        "cross_entropy": cross_entropy,
        "dice": _dice,
        "focal": focal_loss,
        "lovasz": _lovasz,
        "ohem": ohem_cross_entropy,
    }
)
"""Of these `dice` and `lovasz` weigh every class alike by what they are, and use no weights."""

USE_CLASS_WEIGHTS: Final = frozenset({"boundary", "cross_entropy", "focal", "ohem"})
"""Those that weigh pixels by their class."""

REGION_DICE: Final = "region_dice"
"""A loss besides, for which there must be regions."""


def sum_of_losses(
    names_and_factors: Mapping[str, float],
    *,
    class_weights: Tensor | None,
    regions: Sequence[Sequence[int]] = (),
    label_smoothing: float = 0.0,
) -> Loss:
    """A loss that is the sum of named ones, each times its factor.

    Args:
        names_and_factors: Such as `{"cross_entropy": 1.0, "lovasz": 0.5}`.
        class_weights: `(C,)` for those that use them; best on the device of the logits.
        regions: Classes of every region, for `region_dice`.
        label_smoothing: Of `cross_entropy`.

    Raises:
        UnknownNameError: If a name is not in `LOSSES`.
        ShapeError: If there is no loss, a factor is not a positive number, or `region_dice` is
            named without regions.
    """
    known = {
        **LOSSES,
        "cross_entropy": partial(cross_entropy, label_smoothing=label_smoothing),
        REGION_DICE: _of_regions(regions),
    }
    for name, factor in names_and_factors.items():
        if name not in known:
            raise UnknownNameError("loss", name, known)
        if name == REGION_DICE and not regions:
            raise ShapeError(
                "The losses name region_dice, but there are no regions; expected some, such as "
                'regions = { whole = ["core", "edema"] }; add them, or name dice.'
            )
        if not (math.isfinite(factor) and factor > 0):
            raise ShapeError(
                f"The factor of loss {name!r} is {factor}; expected a positive number; correct it "
                "or leave the loss out."
            )
    if not names_and_factors:
        raise ShapeError(
            f"No loss is named; expected at least one of {', '.join(LOSSES)}; name one."
        )
    terms = [(known[name], float(factor)) for name, factor in names_and_factors.items()]

    def total(logits: Tensor, target: Tensor) -> Tensor:
        first, *rest = (
            factor * loss(logits, target, class_weights=class_weights) for loss, factor in terms
        )
        return sum(rest, start=first)

    return total


def _of_regions(regions: Sequence[Sequence[int]]) -> LossFunction:
    loss = partial(region_dice_loss, members=regions)

    def region_dice(
        logits: Tensor,
        target: Tensor,
        *,
        class_weights: Tensor | None,  # noqa: ARG001 - one signature for all
    ) -> Tensor:
        return loss(logits, target)

    return region_dice
