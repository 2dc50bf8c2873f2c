"""What every layer and every op of a network costs, from one run that computes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from atrous.analysis.fields.field import Field
from atrous.analysis.text import layer_table, scaled
from atrous.analysis.tracing.arguments import Arguments, Given, as_arguments
from atrous.analysis.tracing.explain import ValueDependentError
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.field_trace import (
    choose_fields,
    grow,
    look_first,
    sight_listener,
    start,
)
from atrous.analysis.tracing.layers import CostListener, LayerProfile, OpProfile, layer_rows
from atrous.analysis.tracing.process import collector_at_rest
from atrous.analysis.tracing.trace import Listener, Stage, staged


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The cost of a network at one input size.

    Attributes:
        network: Class of the model.
        input_shapes: Shapes of the inputs, batch included.
        params: Learned numbers, `weights` plus `biases`; of layers that the first forward pass
            makes, too.
        frozen: Those of them that ask for no gradient.
        buffers: Numbers kept but not learned, such as running means.
        macs: Multiply-accumulates of the whole batch.
        uncounted: Ops whose MACs are not in `macs`, as `op in layer`; empty if all are.
        unmeasured: Ops that keep more for the backward pass than is in `saved_activation_bytes`.
        param_bytes: Memory of weights and biases.
        buffer_bytes: Memory of buffers.
        peak_activation_bytes: Most memory that feature maps, inputs among them, take at one time
            in inference.
        saved_activation_bytes: Memory the backward pass needs kept; an estimate, and at least that
            if `unmeasured` names any op.
        layers: One row per layer in order of execution, every layer after the one that holds it.
        ops: One row per op in order of execution.
        layer_fields: Field of every layer output by name; None if not asked for.
        stopped: Where the forward pass asked for numbers, so that all costs are "at least"; empty
            where it came to its end.
    """

    network: str
    input_shapes: tuple[tuple[int, ...], ...]
    weights: int
    biases: int
    frozen: int
    buffers: int
    macs: int
    uncounted: tuple[str, ...]
    unmeasured: tuple[str, ...]
    param_bytes: int
    buffer_bytes: int
    peak_activation_bytes: int
    saved_activation_bytes: int
    layers: tuple[LayerProfile, ...]
    ops: tuple[OpProfile, ...] = field(repr=False)
    layer_fields: Mapping[str, Field] | None = field(repr=False)
    stopped: str = ""

    @property
    def params(self) -> int:
        return self.weights + self.biases

    @property
    def trainable(self) -> int:
        """Learned numbers that training changes."""
        return self.params - self.frozen

    @property
    def counted(self) -> str:
        """`"all"`, or `"at least"` if an op could not be counted."""
        return "at least" if self.uncounted else "all"

    @property
    def training_bytes(self) -> int:
        """Estimate for one training step with Adam: weights, gradients, two moments, kept maps."""
        learned = self.param_bytes * self.trainable / max(self.params, 1)
        return int(self.param_bytes + 3 * learned) + self.buffer_bytes + self.saved_activation_bytes

    def __str__(self) -> str:
        at_least = "" if self.counted == "all" else "at least "
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.input_shapes)
        frozen = f", {self.frozen:,} of them frozen" if self.frozen else ""
        unmeasured = ", at least" if self.unmeasured else ""
        cut = ", at least" if self.stopped else ""
        peak, training = scaled(self.peak_activation_bytes), scaled(self.training_bytes)
        lines = [
            f"{self.network} on {shapes}",
            "",
            f"parameters        {self.params:>16,}   {self.weights:,} weights, "
            f"{self.biases:,} biases{frozen}",
            f"MACs              {at_least + format(self.macs, ','):>16}   FLOPs: twice that",
            f"peak memory       {peak + 'B':>16}   maps, inference{cut}",
            f"training memory   {training + 'B':>16}   estimate, Adam{unmeasured}",
            *(f"not counted: {op}" for op in self.uncounted),
        ]
        return "\n".join([*lines, "", layer_table(self.layers)])

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON; without the ops."""
        return {
            "network": self.network,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "params": self.params,
            "weights": self.weights,
            "biases": self.biases,
            "trainable": self.trainable,
            "frozen": self.frozen,
            "buffers": self.buffers,
            "macs": self.macs,
            "counted": self.counted,
            "uncounted": list(self.uncounted),
            "unmeasured": list(self.unmeasured),
            "param_bytes": self.param_bytes,
            "buffer_bytes": self.buffer_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "saved_activation_bytes": self.saved_activation_bytes,
            "training_bytes": self.training_bytes,
            "layers": [asdict(layer) for layer in self.layers],
        }


@collector_at_rest
def profile(
    model: nn.Module,
    size: Sequence[int] = (),
    *,
    in_channels: int | None = None,
    inputs: Given | None = None,
    batch_size: int = 1,
    with_fields: bool = False,
) -> Profile:
    """Parameters, MACs, memory and, if asked for, receptive field of every layer and op.

    The model runs once on tensors without numbers, in the mode (train or eval) it is in: no weight
    is read, copied or allocated, models built on the meta device work too, and the model is left
    as it was. Where the forward pass asks for numbers, as detectors do of their boxes, what came
    before is counted, `uncounted` says where that was, and there are no fields.

    Args:
        model: Any module.
        size: Spatial lengths of the input, `(H, W)` or 1 or 3 of them; or with the channels,
            `(C, H, W)`, or the whole shape, `(1, C, H, W)`.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: What `forward` takes instead of an image of `size`: a tensor, a list of arguments,
            or a dictionary of them by name; only shapes are used.
        batch_size: Samples in the batch; MACs and memory are those of the whole batch.
        with_fields: Also follow the receptive field of every layer (further runs at larger sizes).

    Raises:
        ShapeError: If the model cannot take an input of this size.
        AtrousError: If the forward pass fails, or depends on values before anything is counted.

    Example:
        >>> cost = profile(nn.Conv2d(12, 24, 3), (64, 64))
        >>> cost.weights, cost.biases, cost.macs
        (2592, 24, 9963648)
    """
    model = unwrap(model)
    call = as_arguments(model, size, in_channels=in_channels, inputs=inputs, batch_size=batch_size)
    lengths = call.lengths() if with_fields else ()
    costs = CostListener()
    listeners: list[Listener] = [costs]
    fields = None
    with staged(model) as stage:
        for _, fake in stage.weights.values():
            costs.ledger.ignore(fake)
        if lengths:
            watcher = sight_listener(stage, lengths)
            listeners.append(watcher)
            fakes = start(stage, call, watcher.sight.run, 0)
        else:
            fakes = call.replaced(stage.fake(call.tensors))
        for tensor in fakes.tensors:
            costs.ledger.enter(tensor)
        stopped = _run(stage, fakes, listeners, costs)
        modules = dict(stage.modules)  # with those that this first run has made
        if lengths and not stopped:
            first = look_first(stage, call, done=watcher.sight)
            fields = choose_fields(first, grow(stage, call, first))
        summary = _summarise(modules, call.tensors, costs, fields, stopped=stopped)
        modules.clear()  # layers that the run has made are gone before anyone looks for leaks
    return summary


def _run(stage: Stage, fakes: Arguments, listeners: Sequence[Listener], costs: CostListener) -> str:
    """Run once; what is said where the forward pass asks for numbers, empty if it does not.

    Raises:
        AtrousError: If it fails otherwise, or asks before anything is counted.
    """
    try:
        stage.run(fakes.args, listeners, fakes.kwargs)
    except ValueDependentError as error:
        if not any(op.macs for op in costs.ops):
            raise
        return f"all that follows {error.place}"
    return ""


def _summarise(
    modules: Mapping[str, nn.Module],
    inputs: Iterable[Tensor],
    costs: CostListener,
    fields: Mapping[str, Field] | None,
    *,
    stopped: str,
) -> Profile:
    rest = (stopped,) if stopped else ()
    layers = layer_rows(modules, costs, fields or {})
    return Profile(
        network=type(modules[""]).__name__,
        input_shapes=tuple(tuple(tensor.shape) for tensor in inputs),
        weights=sum(layer.weights for layer in layers),
        biases=sum(layer.biases for layer in layers),
        frozen=sum(layer.frozen for layer in layers),
        buffers=sum(layer.buffers for layer in layers),
        macs=sum(op.macs or 0 for op in costs.ops),
        uncounted=(*costs.uncounted, *rest),
        unmeasured=(*costs.unmeasured, *rest),
        param_bytes=_bytes(t for m in modules.values() for t in m._parameters.values()),
        buffer_bytes=_bytes(t for m in modules.values() for t in m._buffers.values()),
        peak_activation_bytes=costs.ledger.peak,
        saved_activation_bytes=costs.ledger.kept,
        layers=layers,
        ops=tuple(costs.ops),
        layer_fields=fields,
        stopped=stopped,
    )


def _bytes(tensors: Iterable[Tensor | None]) -> int:
    """Memory of tensors, each once."""
    unlike = {id(tensor): tensor for tensor in tensors if tensor is not None}
    return sum(tensor.numel() * tensor.element_size() for tensor in unlike.values())
