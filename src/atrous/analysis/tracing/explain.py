"""Whatever a forward pass raised, as one line for its user."""

import re
import traceback
from collections.abc import Sequence

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
    error: Exception, model: nn.Module, layer_name: str, inputs: Sequence[Tensor]
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


def _raising_line(error: Exception) -> str:
    """The line of code that raised an error without words, such as a bare `assert`, or its kind."""
    frames = traceback.extract_tb(error.__traceback__)
    line = frames[-1].line if frames else None
    return line or type(error).__name__


def _about_values(error: Exception, where: str, first_line: str) -> AtrousError | None:
    """The answer where a step needs numbers, which the analysis does not have."""
    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        return AtrousError(
            f"In {where} the op {error.func} turns values of a tensor into control flow or into a "
            "shape, so the cost depends on the data and not on the size alone; take that step out "
            "of forward, or analyse the parts before and after it."
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
