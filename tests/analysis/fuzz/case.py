"""One model of the fuzzer, what it takes, and what is known about it beforehand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

DTYPE = torch.float64


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model that is built anew for every use, and its inputs.

    Attributes:
        kind: Name of the idiom, or the steps of a random graph.
        make: Builds the model; every call gives an equal one that shares nothing with the others.
        shapes: Shapes of the inputs, `(B, C, *S)`; the field lies in the first.
        scales: Whether a larger input runs the same network. Where it does not, a field can only
            be told at the size of `shapes`.
        tiles: True if some halo is right, so that "no halo" is too pessimistic.
        counts: True if every product is known to torch's counter, so that "at least" is needless.
        may_refuse: Whether an `AtrousError` is a fair answer.
        macs: Multiply-accumulates, where torch's counter does not know an op.
        is_image: False if the input has no spatial axes, so that there is no field.
    """

    kind: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = ((1, 3, 32, 24),)
    scales: bool = True
    tiles: bool = False
    counts: bool = False
    may_refuse: bool = False
    macs: int | None = None
    is_image: bool = True

    @property
    def lengths(self) -> tuple[int, ...]:
        """Spatial lengths of the first input."""
        return self.shapes[0][2:]

    def build(self) -> nn.Module:
        """A fresh model, in float64 and seeded."""
        with random_numbers(7):
            return self.make()


class Step(nn.Module):
    """One step of a graph: a function of the map, and of the layers and parameters it holds."""

    def __init__(self, run: Callable[..., Tensor], *parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.run = run
        self.names: list[str] = []
        for position, part in enumerate(parts):
            name = f"part{position}"
            setattr(self, name, part)
            self.names.append(name)
        self.double()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.run(*inputs, *(getattr(self, name) for name in self.names))


def seeded(call: Callable[[], object]) -> object:
    """Call with torch's random numbers always the same."""
    with random_numbers(11):
        return call()


@contextmanager
def random_numbers(seed: int) -> Iterator[None]:
    """Seed the CPU's random numbers, and put them back; no other device is asked, which is slow."""
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


def first_tensor(value: object) -> Tensor | None:
    """The first tensor in what a model returned: by order of keys, items or attributes."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list | tuple):
        items = list(value)
    elif hasattr(value, "__dict__"):
        items = list(vars(value).values())
    elif hasattr(value, "__slots__"):
        items = [getattr(value, name) for name in value.__slots__]
    else:
        return None
    return next((t for t in map(first_tensor, items) if t is not None), None)
