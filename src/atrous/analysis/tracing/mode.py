"""Evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from torch import nn

from atrous.errors import AtrousError

Mode = Literal["eval", "as is"]
"""`eval`: as the model will be used; `as is`: in the mode every module of it is in now."""


@contextmanager
def in_mode(model: nn.Module, mode: Mode = "eval") -> Iterator[None]:
    """Set the flags of all modules, and give every module its own back.

    Only flags are set: `eval` itself may be overridden, or refused, by the module.

    Raises:
        AtrousError: If there is no such mode.
    """
    if mode not in get_args(Mode):
        raise AtrousError(f"`mode` is {mode!r}; it must be one of {', '.join(get_args(Mode))}.")
    flags = [(module, module.training) for module in model.modules()]
    try:
        if mode == "eval":
            for module, _ in flags:
                module.training = False
        yield
    finally:
        for module, flag in flags:
            module.training = flag
