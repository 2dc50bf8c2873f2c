"""Whether tiles and images of other lengths run the ops that the halo was measured on.

A branch on the size may be taken by small tiles alone, or by images much larger than those a halo
is measured on. Only the sequence of ops tells; no field is followed, so this costs little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor, nn

from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.constants import written_tensors
from atrous.analysis.fields.follow import settings_of
from atrous.analysis.margins import NotTileableError, resized
from atrous.analysis.rules import op_name, rule_of
from atrous.analysis.rules.pointwise import pointwise
from atrous.analysis.tracing.arguments import Arguments
from atrous.analysis.tracing.trace import Stage
from atrous.errors import AtrousError

Steps = list[tuple[Any, ...]]

_LARGE: Final = 1 << 13
"""Length of the largest image that is tried."""
_FITTING: Final = frozenset(
    [
        *["constant_pad_nd", "slice", "clone", "view", "_unsafe_view", "expand", "alias", "detach"],
        *["_to_copy", "_reshape_alias", "_reshape_copy", "unsqueeze", "squeeze"],
    ]
)
"""Ops that may come or go with the size: padding to the strides, and other memory."""
_SCALARS: Final = (bool, int, float)


@dataclass(slots=True, eq=False)
class StepListener:
    """Writes down the ops that an image or a weight goes into."""

    steps: Steps = field(default_factory=list)

    def op(self, call: Call, layer: str) -> None:
        tensors = call.tensors()
        is_fed = any(_has_image(tensor) for tensor in tensors)
        weights = tuple(
            id(tensor)
            for tensor in tensors
            if isinstance(tensor.__dict__.get("_of_model"), nn.Parameter)
        )
        if is_fed:
            for tensor in (*outputs(call.out), *written_tensors(call)):
                mark(tensor)
        name = op_name(call.func)
        if (is_fed or weights) and name not in _FITTING:
            numbers = settings_of(call, name)
            if rule_of(call.func) is pointwise:
                numbers += tuple(value for value in call.args if type(value) in _SCALARS)
            self.steps.append((name, layer, numbers, weights))

    def enter(self, layer: str) -> None:
        """Nothing to do: ops carry the name of their layer."""

    def leave(self, layer: str, output: Any) -> None:
        """Nothing to do."""


def mark(tensor: Tensor) -> None:
    """Remember that the image is in a tensor and in all that shares its memory."""
    for one in (tensor, tensor._base):
        if one is not None:
            one._atrous_image = True  # type: ignore[attr-defined]  # our own mark


def _has_image(tensor: Tensor) -> bool:
    return any(
        one is not None and "_atrous_image" in one.__dict__ for one in (tensor, tensor._base)
    )


def steps_at(stage: Stage, inputs: Arguments, lengths: Sequence[int], source: int) -> Steps | None:
    """The ops of a run with one input at these lengths; None where the model refuses them."""
    given = resized(inputs, lengths, source)
    fakes = given.replaced(stage.fake(given.tensors))
    for tensor in fakes.tensors:
        mark(tensor)
    listener = StepListener()
    try:
        stage.run(fakes.args, [listener], fakes.kwargs)
    except AtrousError:
        return None
    return listener.steps


def widened(
    stage: Stage,
    inputs: Arguments,
    source: int,
    *,
    pixels: Sequence[int],
    steps: Sequence[int],
    measured: Sequence[int],
) -> list[int]:
    """A halo that makes the smallest tile long enough to run what the whole image runs.

    The smallest tile lies at a border: a halo on one side, and one step of the strides.

    Args:
        stage: The model.
        inputs: Its inputs.
        source: Which of them is cut.
        pixels: The halo per axis, a multiple of `steps`.
        steps: The alignment.
        measured: Lengths at which the halo was measured.

    Raises:
        NotTileableError: If a larger image runs other ops.
    """
    expected = steps_at(stage, inputs, measured, source)
    if expected is None:
        return list(pixels)
    large = [step * max(1, _LARGE // step) for step in steps]
    odd = [n + step for n, step in zip(measured, steps, strict=True)]
    tried = [large] if len(steps) == 1 else [[large[0], *odd[1:]], [odd[0], *large[1:]]]
    for lengths in tried:
        found = steps_at(stage, inputs, lengths, source)
        if found is not None and found != expected:
            raise NotTileableError(*_first_other(expected, found))

    def is_right(extra: int) -> bool:
        lengths = [p + step * (1 + extra) for p, step in zip(pixels, steps, strict=True)]
        return steps_at(stage, inputs, lengths, source) in (None, expected)

    if is_right(0):
        return list(pixels)
    most = max(n // step for n, step in zip(measured, steps, strict=True))
    wrong, right = 0, 1
    while right < most and not is_right(right):
        wrong, right = right, 2 * right
    while right - wrong > 1:
        middle = (wrong + right) // 2
        wrong, right = (wrong, middle) if is_right(middle) else (middle, right)
    return [p + step * right for p, step in zip(pixels, steps, strict=True)]


def _first_other(expected: Steps, found: Steps) -> tuple[str, str]:
    """Op and layer where a larger image goes another way."""
    for old, new in zip(expected, found, strict=False):
        if old != new:
            return f"{new[0]}, another op on a larger image,", new[1]
    return "a number of ops that depends on the size", found[-1][1] if found else ""
