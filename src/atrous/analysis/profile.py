"""What every layer and every op of a network costs, from one run that computes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from atrous.analysis.fields import dependence
from atrous.analysis.fields.field import Field
from atrous.analysis.fields.field_trace import choose_fields, grow, sight_listener
from atrous.analysis.receptive_field import as_inputs
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.layers import CostListener, LayerProfile, OpProfile, layer_rows
from atrous.analysis.tracing.trace import Listener, staged


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The cost of a network at one input size.

    Attributes:
        network: Class of the model.
        input_shapes: Shapes of the inputs, batch included.
        params: Learned numbers, `weights` plus `biases`.
        buffers: Numbers kept but not learned, such as running means.
        macs: Multiply-accumulates of the whole batch.
        uncounted: Ops whose MACs are not in `macs`, as `op in layer`; empty if all are.
        param_bytes: Memory of weights and biases.
        buffer_bytes: Memory of buffers.
        peak_activation_bytes: Most memory that feature maps, inputs among them, take at one time
            in inference.
        saved_activation_bytes: Memory the backward pass needs kept; an estimate.
        layers: One row per layer in order of execution, every layer after the one that holds it.
        ops: One row per op in order of execution.
        layer_fields: Field of every layer output by name; None if not asked for.
    """

    network: str
    input_shapes: tuple[tuple[int, ...], ...]
    weights: int
    biases: int
    buffers: int
    macs: int
    uncounted: tuple[str, ...]
    param_bytes: int
    buffer_bytes: int
    peak_activation_bytes: int
    saved_activation_bytes: int
    layers: tuple[LayerProfile, ...]
    ops: tuple[OpProfile, ...] = field(repr=False)
    layer_fields: Mapping[str, Field] | None = field(repr=False)

    @property
    def params(self) -> int:
        return self.weights + self.biases

    @property
    def counted(self) -> str:
        """`"all"`, or `"at least"` if an op could not be counted."""
        return "at least" if self.uncounted else "all"

    @property
    def training_bytes(self) -> int:
        """Estimate for one training step with Adam: weights, gradients, two moments, kept maps."""
        return 4 * self.param_bytes + self.buffer_bytes + self.saved_activation_bytes

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON; without the ops."""
        return {
            "network": self.network,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "params": self.params,
            "weights": self.weights,
            "biases": self.biases,
            "buffers": self.buffers,
            "macs": self.macs,
            "counted": self.counted,
            "uncounted": list(self.uncounted),
            "param_bytes": self.param_bytes,
            "buffer_bytes": self.buffer_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "saved_activation_bytes": self.saved_activation_bytes,
            "training_bytes": self.training_bytes,
            "layers": [asdict(layer) for layer in self.layers],
        }


def profile(
    model: nn.Module,
    size: Sequence[int] = (),
    *,
    in_channels: int | None = None,
    inputs: Sequence[Tensor] | None = None,
    batch_size: int = 1,
    with_fields: bool = False,
) -> Profile:
    """Parameters, MACs, memory and, if asked for, receptive field of every layer and op.

    The model runs once on tensors without numbers, in the mode (train or eval) it is in: no weight
    is read, copied or allocated, models built on the meta device work too, and the model is left
    as it was.

    Args:
        model: Any module.
        size: Spatial lengths of the input, `(H, W)` or 1 or 3 of them.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: All inputs instead of `size`, `in_channels` and `batch_size`; only their shapes are
            used.
        batch_size: Samples in the batch; MACs and memory are those of the whole batch.
        with_fields: Also follow the receptive field of every layer (further runs at larger sizes).

    Raises:
        ShapeError: If the model cannot take an input of this size.
        AtrousError: If the forward pass depends on values, or fails.

    Example:
        >>> cost = profile(nn.Conv2d(12, 24, 3), (64, 64))
        >>> cost.weights, cost.biases, cost.macs
        (2592, 24, 9963648)
    """
    model = unwrap(model)
    inputs = as_inputs(model, size, in_channels=in_channels, inputs=inputs, batch_size=batch_size)
    costs = CostListener()
    listeners: list[Listener] = [costs]
    watcher = sight_listener(inputs[0].shape[2:])
    if with_fields:
        listeners.append(watcher)
    fields = None
    with staged(model) as stage:
        for tensor in (*model.parameters(), *model.buffers()):
            costs.ledger.ignore(tensor)
        fakes = stage.fake(inputs)
        for tensor in fakes:
            costs.ledger.enter(tensor)
        if with_fields:
            sight = watcher.sight
            dependence.attach(fakes[0], dependence.source(sight.run, fakes[0].ndim))
        stage.run(fakes, listeners)
        if with_fields:
            fields = choose_fields(sight, grow(stage, inputs, sight))
    return _summarise(model, tuple(tuple(t.shape) for t in inputs), costs, fields)


def _summarise(
    model: nn.Module,
    input_shapes: tuple[tuple[int, ...], ...],
    costs: CostListener,
    fields: Mapping[str, Field] | None,
) -> Profile:
    layers = layer_rows(model, costs, fields or {})
    return Profile(
        network=type(model).__name__,
        input_shapes=input_shapes,
        weights=sum(layer.weights for layer in layers),
        biases=sum(layer.biases for layer in layers),
        buffers=sum(layer.buffers for layer in layers),
        macs=sum(op.macs or 0 for op in costs.ops),
        uncounted=tuple(costs.uncounted),
        param_bytes=sum(p.numel() * p.element_size() for p in model.parameters()),
        buffer_bytes=sum(b.numel() * b.element_size() for b in model.buffers()),
        peak_activation_bytes=costs.ledger.peak,
        saved_activation_bytes=costs.ledger.kept,
        layers=layers,
        ops=tuple(costs.ops),
        layer_fields=fields,
    )
