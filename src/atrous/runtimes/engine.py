"""What runs a network in torch's place: a module that cannot be trained, and says what it is."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from torch import Tensor, nn

from atrous.runtimes.facts import ExportFacts

Precision: TypeAlias = Literal["float32", "bfloat16"]


class Engine(nn.Module, ABC):
    """A graph that another engine runs on the CPU.

    Attributes:
        runtime: Name of the engine.
        precision: In which it computes.
        facts: What stands in the file besides the graph.
        path: The file, for messages.
    """

    runtime: ClassVar[str]
    precision: Precision = "float32"
    facts: ExportFacts
    path: Path

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the signature of the facts says."""

    def extra_repr(self) -> str:
        """What distinguishes its results from those of others."""
        return f"{self.facts.source_sha256}, {self.precision}"

    def wanted(self) -> str:
        """Which inputs it takes, in words."""
        size = self.facts.signature.size
        axes = "B x H x W x C" if self.facts.signature.takes == "pixels" else "B x C x H x W"
        return f"{axes} of any size" if size is None else f"a size of {' x '.join(map(str, size))}"
