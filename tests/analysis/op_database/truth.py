"""What an op reads of its input, by replacing every single place of it.

Two answers: what changes with other numbers is read for certain; what only NaN reaches may be a
product with zero, so that it bounds from above.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tests.analysis.fuzz.case import first_tensor, seeded
from tests.analysis.op_database.samples import OneOp, Sample
from torch import Tensor

Reads = NDArray[np.bool_]
REFUSE_NAN = ("linalg.", "svd", "pca_lowrank", "geqrf", "cholesky", "lu", "logdet", "pinverse")
"""Beginnings of the names of decompositions, which complain on stderr about NaN."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Widest stretch of one axis that any output reads, surely and at most; and its length."""

    surely: int
    at_most: int
    length: int


def reaches(sample: Sample) -> list[Reach] | None:
    """One for each spatial axis; None if the op does not run or returns no tensor."""
    surely, at_most = _reads(sample, "numbers"), _reads(sample, "nan")
    if surely is None:
        return None
    both = surely if at_most is None else surely | at_most
    shape = sample.image.shape
    found = []
    for axis in range(2, len(shape)):
        others = tuple(d for d in range(len(shape)) if d != axis)
        found.append(
            Reach(
                surely=_widest(surely.any(axis=others)),
                # An op that refuses NaN may read anything.
                at_most=shape[axis] if at_most is None else _widest(both.any(axis=others)),
                length=shape[axis],
            )
        )
    return found


def _widest(rows: Reads) -> int:
    """Over all outputs, first to last index read: `(index, outputs)`."""
    if not rows.any():
        return 0
    indices = np.arange(len(rows))[:, None]
    low = np.where(rows, indices, len(rows)).min(0)
    high = np.where(rows, indices, -1).max(0)
    return int((high - low + 1).max())


def run(sample: Sample, image: Tensor) -> Tensor | None:
    """What the op returns first, in float64 and flat; None if it fails or returns no tensor."""
    model = OneOp(sample)
    try:
        with torch.no_grad():
            out = first_tensor(seeded(lambda: model(image.clone())))
    except Exception:  # an op may refuse numbers, or this machine, in any way it likes
        return None
    if out is None or out.layout != torch.strided:
        return None
    if out.is_complex():
        out = torch.view_as_real(out.resolve_conj())
    return out.detach().resolve_neg().to(torch.float64).reshape(-1)


def _reads(sample: Sample, how: str) -> Reads | None:
    """Which outputs change with which place: `(*input shape, outputs)`; None if it does not run."""
    if how == "nan" and sample.name.startswith(REFUSE_NAN):
        return None
    bases = [sample.image]
    if how == "numbers":
        bases.append(torch.zeros_like(sample.image))
    first, *others = [_reads_at(sample, image, how) for image in bases]
    if first is None:
        return None
    same = [reads for reads in others if reads is not None and reads.shape == first.shape]
    return np.logical_or.reduce([first, *same])


def _reads_at(sample: Sample, image: Tensor, how: str) -> Reads | None:
    """The same around one input."""
    whole = run(sample, image)
    if whole is None:
        return None
    rows = np.zeros((image.numel(), whole.numel()), dtype=bool)
    has_run = False
    for place in range(image.numel()):
        for value in _values(sample, place, how):
            changed = image.clone().contiguous()
            changed.view(-1)[place] = value
            result = run(sample, changed)
            if result is not None and result.shape == whole.shape:
                has_run = True
                rows[place] |= _differs(result, whole)
    return rows.reshape(*image.shape, -1) if has_run else None


def _values(sample: Sample, place: int, how: str) -> list[float]:
    """What a place is replaced by; also by what an op of comparison compares it with."""
    if how == "nan":
        return [float("nan")]
    image = sample.image
    partners = [0.0]
    places = torch.arange(image.numel()).view(image.shape)
    for given in sample.rest:
        if isinstance(given, Tensor) and not given.is_complex():
            with suppress(RuntimeError):  # of a shape that does not fit: compared with nothing
                at, values = torch.broadcast_tensors(places, given)
                partners.append(float(values[at == place][0]))
    old = float(image.reshape(-1)[place])
    other = float(image.reshape(-1)[(place * 7 + 3) % image.numel()])
    return [
        *partners,
        old * 1.01 + 0.013,
        other,
        float(image.max()) + 0.7,
        float(image.min()) - 0.7,
    ]


def _differs(result: Tensor, whole: Tensor) -> Reads:
    scale = float(whole.abs().nan_to_num(0, 0, 0).max()) if whole.numel() else 0.0
    same = (result - whole).abs() <= 1e-12 * scale
    return (~(same | (result == whole) | (result.isnan() & whole.isnan()))).numpy()
