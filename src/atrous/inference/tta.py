"""The mean over mirrored and resized inputs: a little better, several times as slow.

Published numbers often contain it without a word, so nothing here is done unless it is asked for.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from atrous._argmax import argmax_classes
from atrous.errors import ShapeError
from atrous.inference.model import Image
from atrous.inference.prediction import Prediction
from atrous.inference.predictor import Predictor, pixels_of
from atrous.networks.preprocessing.images import Preprocessing
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging:
    """Which inputs of one image the mean is taken over.

    Example:
        >>> str(Averaging(scales=(0.75, 1.0), has_flip=True))
        'with flip and scales 0.75, 1'
        >>> bool(Averaging()), bool(Averaging(has_flip=True))
        (False, True)
    """

    scales: tuple[float, ...] = (1.0,)
    """Factors of the network's input size: of the card's, or of the image's own."""
    has_flip: bool = False
    """Each of them also mirrored left to right."""

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < s < math.inf for s in self.scales):
            raise ShapeError(
                f"Scales {list(self.scales)}; expected numbers above 0, such as 0.75, 1, 1.25."
            )
        if len(set(self.scales)) < len(self.scales):
            raise ShapeError(f"Scales {list(self.scales)}; expected each of them once.")

    @property
    def num_inputs(self) -> int:
        """How often the network is run for one image."""
        return len(self.scales) * (1 + self.has_flip)

    def __bool__(self) -> bool:
        return self.has_flip or self.scales != (1.0,)

    def __str__(self) -> str:
        scales = ", ".join(f"{scale:g}" for scale in self.scales)
        parts = ["flip"] * self.has_flip + [f"scales {scales}"] * (self.scales != (1.0,))
        return f"with {' and '.join(parts)}" if parts else "of the image alone"


@torch.inference_mode()
def predict_averaged(predictor: Predictor, image: Image, averaging: Averaging) -> Prediction:
    """The mask of the likeliest classes by the mean of probabilities, at the image's size.

    Masks of inputs that were resized are not resized again: their probabilities are, linearly, to
    the image's size. So a mask may differ in outlines from that of `Predictor.predict`, whose
    classes are chosen at the network's size.

    Args:
        predictor: What is run, once for every input.
        image: As `Predictor.predict` takes it.
        averaging: The inputs.

    Raises:
        DataError: As `Predictor.predict`.
        ShapeError: As `Predictor.predict`, and if the network does not take the resized input.
    """
    total: Tensor | None = None
    labels: Tensor | None = None
    for variant, pixels, is_flipped in _inputs(predictor, image, averaging):
        seen = variant.predict_probabilities(pixels)
        assert seen.probabilities is not None  # they were asked for
        probabilities = seen.probabilities.flip(-1) if is_flipped else seen.probabilities
        total = probabilities if total is None else total.add_(probabilities)
        if seen.label_probabilities is not None:
            labels = seen.label_probabilities + (0 if labels is None else labels)
    assert total is not None  # there is at least one scale
    return replace(
        seen,
        found_mask=argmax_classes(total).to(torch.uint8),
        probabilities=total.div_(averaging.num_inputs),
        label_probabilities=None if labels is None else labels / averaging.num_inputs,
    )


@torch.inference_mode()
def classify_averaged(predictor: Predictor, image: Image, averaging: Averaging) -> Prediction:
    """The mean of the class probabilities of the inputs, by a classifier.

    A scale multiplies both the length that the shorter side gets and the window that is cut out of
    its middle: the network sees the same part of the image, coarser or finer.

    Raises:
        DataError: As `Predictor.predict`.
        ShapeError: As `Predictor.predict`, and if the network does not take the resized input.
    """
    results = [
        variant.predict(pixels) for variant, pixels, _ in _inputs(predictor, image, averaging)
    ]
    found = [r.label_probabilities for r in results if r.label_probabilities is not None]
    return replace(results[0], label_probabilities=torch.stack(found).mean(0))


def _inputs(
    predictor: Predictor, image: Image, averaging: Averaging
) -> Iterator[tuple[Predictor, Tensor, bool]]:
    """Predictor, image, and whether it is mirrored, for every input that the mean is over."""
    pixels = pixels_of(image)  # read once for all
    size = tuple(pixels.shape[1:])
    for scale in averaging.scales:
        variant = copy.copy(predictor)  # shares the network; only what it is fed differs
        facts = _scaled(predictor.card.preprocessing, size, scale)
        variant.card = replace(predictor.card, preprocessing=facts)
        yield variant, pixels, False
        if averaging.has_flip:
            yield variant, pixels.flip(-1), True


def _scaled(facts: Preprocessing, size: Size, scale: float) -> Preprocessing:
    if scale == 1:
        return facts
    lengths = tuple(max(1, round(scale * length)) for length in facts.size or size)
    shorter = facts.shorter_side
    if shorter is not None:
        shorter = max(round(scale * shorter), *lengths)
    return replace(facts, size=lengths, shorter_side=shorter)
