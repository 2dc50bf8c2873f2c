"""Models out of torch's database of operators: one op each, with one of its own samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tests.analysis.fuzz.case import DTYPE, Case
from torch import Tensor, nn
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_unflatten

MOST_VALUES = 250
MOST_SAMPLES = 3


@dataclass(frozen=True)
class Sample:
    """One call of an op: what it is applied to, and everything else it is given."""

    name: str
    number: int
    op: Any
    image: Tensor
    rest: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def case(self) -> Case:
        """The call as a model that takes the image; the seed of the op's own samples is fixed."""
        return Case(
            kind=f"{self.name} {self.number}",
            make=lambda: OneOp(self),
            shapes=(tuple(self.image.shape),),
            scales=False,
            is_image=self.image.ndim > 2,
        )


class OneOp(nn.Module):
    """An op; the other tensors that it is given are buffers."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.op = sample.op
        leaves, self.structure = tree_flatten((sample.rest, sample.keywords))
        self.leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.at = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        for i in self.at:
            self.register_buffer(f"given{i}", leaves[i].detach().clone())

    def forward(self, x: Tensor) -> Any:
        leaves = list(self.leaves)
        for i in self.at:
            leaves[i] = getattr(self, f"given{i}")
        rest, keywords = tree_unflatten(leaves, self.structure)
        return self.op(x, *rest, **keywords)


def names() -> list[str]:
    """Every op of the database that takes float64, with its variant, in order."""
    return [_name(info) for info in op_db if DTYPE in info.dtypes]


def _name(info: Any) -> str:
    return f"{info.name}.{info.variant_test_name}" if info.variant_test_name else info.name


def samples_of(chosen: Sequence[str]) -> Iterator[Sample]:
    """Up to three samples of each op: strided tensors of 2 to 5 dimensions, of few values.

    Those with most dimensions longer than one come first, and each has another shape.
    """
    wanted = set(chosen)
    for info in op_db:
        if _name(info) not in wanted or DTYPE not in info.dtypes:
            continue
        torch.manual_seed(0)
        fitting = [s for s in info.sample_inputs("cpu", DTYPE) if _fits(s.input)]
        fitting.sort(key=lambda s: -sum(n > 1 for n in s.input.shape[2:]))
        met: set[tuple[int, ...]] = set()
        for s in fitting:
            if tuple(s.input.shape) not in met and len(met) < MOST_SAMPLES:
                met.add(tuple(s.input.shape))
                yield Sample(_name(info), len(met), info.op, s.input.detach(), s.args, s.kwargs)


def _fits(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.dtype == DTYPE
        and 2 <= value.ndim <= 5
        and 0 < value.numel() <= MOST_VALUES
    )
