"""The sorting of Lovász-Softmax on a CPU, where it would take longer than the network."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.types import UNLABELLED

_WORTH_THREADS: Final = 1 << 15
"""Pixels from which a class takes longer than starting a thread for it."""


def extend_on_cpu(probabilities: Tensor, target: Tensor, slopes: Tensor) -> Tensor:
    """As `lovasz.extend`, several times as fast: fewer pixels are sorted, and by counting.

    One thread takes one class, as NumPy's sort uses only one.
    """
    labels = target.flatten().to(torch.uint8).numpy()
    areas = np.bincount(labels, minlength=UNLABELLED + 1)[:UNLABELLED]
    present = areas.nonzero()[0].tolist()
    unlabelled = np.flatnonzero(labels == UNLABELLED)
    # NumPy only in the threads: torch would start threads of its own in each.
    rows, by_class = probabilities.numpy(), slopes.numpy()

    def one_class(c: int) -> float:
        row = rows[:, c].flatten()
        inside = labels == c
        errors = np.abs(inside - row)
        errors[unlabelled] = 0
        value, derivatives = _extend_one(errors, inside)
        by_class[:, c] = (derivatives / len(present)).reshape(target.shape)
        return value

    if labels.size < _WORTH_THREADS:
        return slopes.new_tensor(sum(map(one_class, present)) / len(present))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return slopes.new_tensor(sum(pool.map(one_class, present)) / len(present))


def _extend_one(
    errors: NDArray[np.floating], inside: NDArray[np.bool_]
) -> tuple[float, NDArray[np.floating]]:
    """The loss of one class, and its derivative by the probability at each pixel, `(N,)`."""
    # Once the last pixel inside is wrong the IoU is 0, and nothing is lost by those still better;
    # nor do errors of 0 count. Written so that NaN is kept: the loss must show it.
    floor = np.maximum(errors[inside].min(), np.finfo(errors.dtype).tiny)
    kept = np.flatnonzero(~(errors < floor))
    order = _descending(errors[kept])
    kept = kept[order]
    is_inside = inside[kept]
    num_inside = np.count_nonzero(inside)
    num_missed = np.cumsum(is_inside)
    left = num_inside - num_missed
    union = (num_inside + np.arange(1, len(kept) + 1) - num_missed).astype(np.float64)
    losses = np.where(is_inside, 1 / union, left / np.maximum(1, union * (union - 1)))
    derivatives = np.zeros_like(errors)
    derivatives[kept] = np.where(is_inside, -losses, losses)
    return float((errors[kept] * losses).sum()), derivatives


def _descending(errors: NDArray[np.floating]) -> NDArray[np.intp]:
    """The indices that sort errors `(N,)`, which are not negative, from the largest down."""
    if errors.dtype != np.float32:
        return np.argsort(-errors, kind="stable")
    # The bits of floats from 0 on sort as integers do, and NumPy sorts integers of 16 bits by
    # counting: two passes, the low half first, are several times as fast as a sort of floats.
    bits = ~errors.view(np.uint32)
    order = np.argsort(bits.astype(np.uint16), kind="stable")
    return order[np.argsort((bits >> 16).astype(np.uint16)[order], kind="stable")]
