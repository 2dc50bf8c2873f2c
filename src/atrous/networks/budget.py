"""Let a network be built only as large as the tensors that are to fill it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from atrous.errors import DataError

_SPARE: Final = 4
"""Times as many as the file holds: builders make parts and replace them, such as heads."""
_FEW_TENSORS: Final = 1_000
_FEW_VALUES: Final = 10_000_000
"""That any network may take: 40 MB."""
_FACTORIES: Final = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
)


@contextmanager
def size_limit(*, num_tensors: int, num_values: int) -> Iterator[None]:
    """While the block builds a network, stop it before it takes much more than a file holds.

    Args:
        num_tensors: How many tensors the file holds.
        num_values: How many numbers they hold together.

    Raises:
        DataError: If the network has more; nothing of that size was allocated.
    """
    budget = _Budget(_SPARE * num_tensors + _FEW_TENSORS, _SPARE * num_values + _FEW_VALUES)
    with ExitStack() as stack:
        for register in (
            register_module_parameter_registration_hook,
            register_module_buffer_registration_hook,
        ):
            handle = register(budget.count)
            stack.callback(handle.remove)
        stack.enter_context(budget)
        yield


class _Budget(TorchFunctionMode):
    """Counts what a network registers, and looks at sizes before they are allocated."""

    def __init__(self, num_tensors: int, num_values: int) -> None:
        super().__init__()
        self.num_tensors, self.num_values = num_tensors, num_values

    def count(self, _module: Any, _name: str, _tensor: Tensor | None) -> None:  # noqa: ANN401
        self.num_tensors -= 1
        if self.num_tensors < 0:
            raise _too_large()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        kwargs = kwargs or {}
        if func in _FACTORIES:
            self.num_values -= _num_values(args, kwargs)
            if self.num_values < 0:
                raise _too_large()
        return func(*args, **kwargs)


def _num_values(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    size = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
    lengths = size if isinstance(size, tuple | list) else (size,)
    return prod(n for n in lengths if isinstance(n, int))


def _too_large() -> DataError:
    return DataError("the card asks for a network much larger than the tensors beside it")
