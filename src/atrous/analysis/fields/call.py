"""One op as the dispatcher saw it, its arguments readable by name."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Shape
from atrous.analysis.fields.dependence import Dependence, Run

Op = torch._ops.OpOverload


@lru_cache(maxsize=4096)
def _places(func: Op) -> dict[str, tuple[int, Any]]:
    """Position and default of every argument of the op's schema."""
    return {
        argument.name: (position, argument.default_value if argument.has_default_value() else None)
        for position, argument in enumerate(func._schema.arguments)
    }


@lru_cache(maxsize=4096)
def written_arguments(func: Op) -> tuple[str, ...]:
    """Names of the tensor arguments that the op writes to."""
    return tuple(
        a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write
    )


@dataclass(slots=True, eq=False)
class Call:
    """An op, its arguments and its fake result."""

    func: Op
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    out_shapes: tuple[Shape, ...]
    run: Run
    base_ndim: int = 0
    is_pointwise: bool = False
    _named: list[tuple[str, Tensor]] | None = None

    def __getitem__(self, name: str) -> Any:
        position, default = _places(self.func)[name]
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def has(self, name: str) -> bool:
        return name in _places(self.func)

    def dep(self, name: str) -> Dependence | None:
        """The dependence of a tensor argument."""
        value = self[name]
        return dependence.of(value) if isinstance(value, Tensor) else None

    def of(self, tensor: Tensor) -> Dependence | None:
        """What is known of any tensor."""
        return dependence.of(tensor)

    def shape(self, name: str) -> Shape:
        return tuple(self[name].shape)

    @property
    def first(self) -> Tensor:
        return self.args[0]

    @property
    def out_shape(self) -> Shape:
        """Shape of the first tensor that comes out."""
        return self.out_shapes[0]

    def tensors(self) -> list[Tensor]:
        """Every tensor argument, also those inside lists."""
        return [tensor for _, tensor in self.named_tensors()]

    def named_tensors(self) -> list[tuple[str, Tensor]]:
        """The same, with their names in the op's schema."""
        if self._named is None:
            found: list[tuple[str, Tensor]] = []
            values = zip(_places(self.func), self.args, strict=False)
            for name, value in (*values, *self.kwargs.items()) if self.kwargs else values:
                if isinstance(value, Tensor):
                    found.append((name, value))
                elif isinstance(value, list | tuple):
                    found += [(name, item) for item in value if isinstance(item, Tensor)]
            self._named = found
        return self._named


def outputs(out: Any) -> list[Tensor]:
    """Tensors an op returned."""
    if isinstance(out, Tensor):
        return [out]
    if isinstance(out, list | tuple):
        return [tensor for item in out for tensor in outputs(item)]
    return []
