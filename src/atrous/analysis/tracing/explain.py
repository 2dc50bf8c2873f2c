"""Whatever a forward pass raised, as one line for its user."""

import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

from atrous.errors import AtrousError, ShapeError

_ABOUT_SIZES = re.compile(
    r"size|shape|dimension|channel|stride|broadcast|kernel|reshape|elements|too small|larger|"
    r"smaller|mat1|mat2|divisible|multiple of|out of (range|bounds)|must match|not match|pad|"
    r"height|width|resolution|\bdim\b|[0-9] ?x ?[0-9]|% ?[0-9]",
    re.IGNORECASE,
)
_NUMPY = re.compile(r"numpy|data pointer|array interface|DLPack", re.IGNORECASE)
_HIGHER_ORDER = re.compile(r"HigherOrderOperator (\w+)")


def explain(
    error: Exception | SystemExit, model: nn.Module, layer_name: str, inputs: Sequence[Tensor]
) -> AtrousError:
    """What was found, in which layer, and what to do about it.

    Args:
        error: What the forward pass raised.
        model: The whole model.
        layer_name: Dotted name of the innermost layer that was running; empty for the model.
        inputs: The tensors it ran on.
    """
    layer = dict(model.named_modules()).get(layer_name, model)
    where = f"layer {layer_name!r} ({type(layer).__name__})" if layer_name else type(layer).__name__
    shapes = " and ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
    first_line = (str(error).strip() or _raising_line(error)).splitlines()[0]
    first_line += "" if first_line[-1] in ".!?" else "."
    values = _about_values(error, where, first_line)
    if values is not None:
        return values
    is_size = (
        isinstance(error, AssertionError | RuntimeError | ValueError | IndexError)
        and _ABOUT_SIZES.search(first_line) is not None
    )
    if is_size and not isinstance(error, NotImplementedError):
        return ShapeError(
            f"{type(model).__name__} does not take an input of {shapes}: {where} says: "
            f"{first_line} Check the size, the number of channels, and whether it must be larger."
        )
    return AtrousError(
        f"The forward pass of {type(model).__name__} failed on an input of {shapes}, in {where}: "
        f"{type(error).__name__}: {first_line}"
    )


class ValueDependentError(AtrousError):
    """The forward pass needs numbers where the analysis has none.

    Attributes:
        place: Where, and what it asks for.
    """

    def __init__(self, place: str) -> None:
        super().__init__(
            f"In {place}, and tensors have no numbers in an analysis: what follows depends on the "
            "data. Keep numbers, and places that are always the same, as Python numbers and lists "
            "of indices; else take that step out of forward, or analyse the parts before and after "
            "it."
        )
        self.place = place


_READINGS: Final = {
    "_local_scalar_dense": "reads the number in a tensor (item, float, int, bool, or an `if`)",
    "nonzero": "asks where a tensor is true (nonzero, or an index of truth values)",
    "masked_select": "takes the elements where a mask is true",
    "equal": "asks whether two tensors are equal",
    "unique": "asks for the different numbers in a tensor",
    "_unique2": "asks for the different numbers in a tensor",
    "repeat_interleave": "repeats elements as often as a tensor says",
}
"""What ops that need numbers do, in words."""


def _line(error: BaseException) -> str:
    """Where in the user's code it is, as ` (file.py:12)`; empty if it is in none."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        name = str(frame.f_globals.get("__name__", ""))
        if not f"{name}.".startswith(("torch.", "atrous.")):
            return f" ({Path(frame.f_code.co_filename).name}:{line})"
    return ""


def _raising_line(error: BaseException) -> str:
    """The line of code that raised an error without words, such as a bare `assert`, or its kind."""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[-1].line if frames else None
    return line or type(error).__name__


def _about_values(error: BaseException, where: str, first_line: str) -> AtrousError | None:
    """The answer where a step needs numbers, which the analysis does not have."""
    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        name = error.func._schema.name.removeprefix("aten::")
        reading = _READINGS.get(name, name)
        return ValueDependentError(f"{where}{_line(error)} the forward pass {reading}")
    if "_apply(): Couldn't swap" in first_line:
        return AtrousError(
            f"In {where}{_line(error)} the forward pass moves a layer to another type or device "
            "(`.double()`, `.to(…)`), which tensors without numbers cannot follow; do that where "
            "the layer is made, by `dtype=` and `device=`, or before the analysis."
        )
    higher = _HIGHER_ORDER.search(first_line)
    if higher is not None:
        return AtrousError(
            f"In {where} the forward pass hands functions to torch's {higher[1]}, which cannot be "
            "followed; call the functions themselves, or analyse the parts before and after it."
        )
    if "PackedParams" in first_line or "__torch__.torch.classes" in first_line:
        return AtrousError(
            f"In {where} the weights are packed for an integer kernel of torch, which cannot run "
            "without numbers; analyse the model from before it was quantised: its costs and "
            "fields are the same."
        )
    if _NUMPY.search(first_line) and isinstance(error, RuntimeError | TypeError | ValueError):
        return AtrousError(
            f"In {where} the forward pass turns a tensor into numpy's numbers, and there are none "
            "in an analysis; write that step in torch, or analyse the parts before and after it."
        )
    if isinstance(error, UnsupportedOperatorException) or (
        isinstance(error, NotImplementedError) and "Could not run" in first_line
    ):
        return AtrousError(
            f"An op in {where} cannot run without numbers: {first_line} Register a fake kernel for "
            "it (torch.library.register_fake), or analyse the parts before and after it."
        )
    return None
