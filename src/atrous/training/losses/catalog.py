"""Losses by name, and sums of them: how a recipe says what to train for."""

import math
from collections.abc import Callable, Mapping
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


def sum_of_losses(names_and_factors: Mapping[str, float], *, class_weights: Tensor | None) -> Loss:
    """A loss that is the sum of named ones, each times its factor.

    Args:
        names_and_factors: Such as `{"cross_entropy": 1.0, "lovasz": 0.5}`.
        class_weights: `(C,)` for those that use them; best on the device of the logits.

    Raises:
        UnknownNameError: If a name is not in `LOSSES`.
        ShapeError: If there is no loss, or a factor is not a positive number.
    """
    for name, factor in names_and_factors.items():
        if name not in LOSSES:
            raise UnknownNameError("loss", name, LOSSES)
        if not (math.isfinite(factor) and factor > 0):
            raise ShapeError(
                f"The factor of loss {name!r} is {factor}; expected a positive number; correct it "
                "or leave the loss out."
            )
    if not names_and_factors:
        raise ShapeError(
            f"No loss is named; expected at least one of {', '.join(LOSSES)}; name one."
        )
    terms = [(LOSSES[name], float(factor)) for name, factor in names_and_factors.items()]

    def total(logits: Tensor, target: Tensor) -> Tensor:
        first, *rest = (
            factor * loss(logits, target, class_weights=class_weights) for loss, factor in terms
        )
        return sum(rest, start=first)

    return total
