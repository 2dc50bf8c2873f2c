"""Proof that an exported graph answers as its network does: on images, at several sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from atrous._argmax import argmax_classes
from atrous.networks.card import Card
from atrous.runtimes.graph import Signature
from atrous.types import Size

Run: TypeAlias = Callable[[Tensor], Tensor | tuple[Tensor, ...]]

TOLERANCE: Final = 1e-4
"""Largest difference of logits that is rounding, as a share of the largest logit."""
LEAST_EQUAL: Final = 0.9999
"""Share of equal classes below which two graphs do not answer alike: ties may fall either way."""
_SIZES: Final = {
    2: ((288, 352), (231, 173), (141, 299)),
    3: ((64, 80, 96), (47, 61, 33), (35, 45, 71)),
}
"""Sizes at which graphs that take any are compared; of two axes and of three, odd ones too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one input, by the network and by the graph.

    Attributes:
        size: Spatial size of the input.
        largest: Largest absolute difference of logits; None of a graph that gives classes.
        relative: The same as a share of the largest logit; likewise None.
        equal: Share of pixels, or of images, whose class is the same.
    """

    size: Size
    largest: float | None
    relative: float | None
    equal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How a graph compares with its network.

    Attributes:
        comparisons: One for each input.
        tolerance: Of relative differences of logits.
        least_equal: Smallest share of equal classes allowed.
        inputs: What the inputs were, in words.
    """

    comparisons: tuple[Comparison, ...]
    tolerance: float
    least_equal: float
    inputs: str

    @property
    def is_met(self) -> bool:
        """Whether every comparison is within the tolerance."""
        return all(
            (c.relative is None or c.relative <= self.tolerance) and c.equal >= self.least_equal
            for c in self.comparisons
        )

    @property
    def largest(self) -> float | None:
        """The largest relative difference of logits; None of a graph that gives classes."""
        found = [c.relative for c in self.comparisons if c.relative is not None]
        return max(found) if found else None

    @property
    def equal(self) -> float:
        """The smallest share of equal classes."""
        return min(c.equal for c in self.comparisons)

    def record(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "is_met": self.is_met,
            "tolerance": self.tolerance,
            "least_equal": self.least_equal,
            "inputs": self.inputs,
            "comparisons": [
                {
                    "size": list(c.size),
                    "largest_difference": c.largest,
                    "relative_difference": c.relative,
                    "equal_classes": c.equal,
                }
                for c in self.comparisons
            ],
        }


def sizes_to_compare(card: Card, signature: Signature) -> tuple[Size, ...]:
    """The sizes at which a graph is compared: the card's, and odd ones where it takes any."""
    if signature.size is not None:
        return (signature.size,)
    sizes = _SIZES[2 if card.volume is None else 3]
    own = card.preprocessing.size
    return sizes if own is None or own in sizes else (own, *sizes[1:])


@torch.inference_mode()
def compare(network: Run, graph: Run, inputs: Sequence[Tensor]) -> list[Comparison]:
    """Run both on every input.

    Args:
        network: What is right.
        graph: What is compared with it; takes and gives the same.
        inputs: As both take them.
    """
    found = []
    for x in inputs:
        expected, said = (_outputs(run(x)) for run in (network, graph))
        size = x.shape[1:-1] if x.dtype == torch.uint8 else x.shape[2:]
        pairs = list(zip(expected, said, strict=True))
        differences = [_difference(a, b) for a, b in pairs if a.is_floating_point()]
        equal = [_share_of_equal(a, b) for a, b in pairs]
        found.append(
            Comparison(
                size=tuple(size),
                largest=max(d for d, _ in differences) if differences else None,
                relative=max(r for _, r in differences) if differences else None,
                equal=min(equal),
            )
        )
    return found


def _outputs(value: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _difference(expected: Tensor, said: Tensor) -> tuple[float, float]:
    """The largest difference, and as a share of the largest value; infinite where shapes differ."""
    if expected.shape != said.shape or not said.isfinite().all():
        return float("inf"), float("inf")
    largest = float((expected - said).abs().max())
    return largest, largest / max(float(expected.abs().max()), torch.finfo(torch.float32).tiny)


def _share_of_equal(expected: Tensor, said: Tensor) -> float:
    if expected.shape != said.shape:
        return 0.0
    if expected.is_floating_point():
        expected, said = (argmax_classes(each, dim=1) for each in (expected, said))
    return float((expected == said).float().mean())
