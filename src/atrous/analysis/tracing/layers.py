"""Rows of a profile: what every op costs, and what every layer costs by itself and in all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.field import Field
from atrous.analysis.fields.outputs import named_tensors
from atrous.analysis.rules import op_name
from atrous.analysis.tracing.activation_memory import (
    UNMEASURED,
    WORKSPACES,
    Ledger,
    keep_for_backward,
)
from atrous.analysis.tracing.macs import cost_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OpProfile:
    """One op of the run.

    Attributes:
        op: Torch's name, such as `convolution`.
        layer: Dotted name of the innermost layer it ran in; empty for the model itself.
        macs: Multiply-accumulates; None if they cannot be counted.
        output_shape: Shape of the first tensor it returned.
        new_bytes: Memory it took for feature maps; 0 for views and in-place ops.
        live_bytes: Feature maps alive right after it.
    """

    op: str
    layer: str
    macs: int | None
    output_shape: tuple[int, ...]
    new_bytes: int
    live_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProfile:
    """One layer: what is its own, and what is in it and all layers below it.

    Attributes:
        name: Dotted name; empty for the model itself.
        kind: Class of the module.
        depth: 0 for the model, 1 for its children.
        calls: Times its forward pass ran; 0 for containers and for heads that were not used.
        weights: Own learned numbers that are no biases.
        biases: Own learned numbers called bias.
        frozen: Own learned numbers that ask for no gradient.
        buffers: Own numbers that are kept but not learned.
        params: Learned numbers here and below; one that is shared counts where it is met first.
        own_macs: MACs of ops run by this layer itself.
        macs: MACs here and below.
        output_shape: Shape of what it returned first; None if it did not run.
        activation_bytes: Memory its own ops took for feature maps.
        field: What one of its outputs sees; None if fields were not asked for or it sees nothing.
    """

    name: str
    kind: str
    depth: int
    calls: int
    weights: int
    biases: int
    frozen: int
    buffers: int
    params: int
    own_macs: int
    macs: int
    output_shape: tuple[int, ...] | None
    activation_bytes: int
    field: Field | None


@dataclass(slots=True, eq=False)
class CostListener:
    """Writes down the cost of every op, and which layers ran in which order."""

    ledger: Ledger = field(default_factory=Ledger)
    ops: list[OpProfile] = field(default_factory=list)
    uncounted: dict[str, None] = field(default_factory=dict)
    unmeasured: dict[str, None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def op(self, call: Call, layer: str) -> None:
        produced = outputs(call.out)
        new_bytes = 0
        for tensor in produced:
            new_bytes += self.ledger.enter(tensor)
        name = op_name(call.func)
        if name in WORKSPACES:
            self.ledger.work(WORKSPACES[name](call), new_bytes)
        if name in UNMEASURED:
            self.unmeasured[f"{name} in {layer or 'the model'}"] = None
        keep_for_backward(self.ledger, call)
        rule = cost_of(call.func)
        macs: int | None = 0
        if not isinstance(rule, bool):
            macs = rule(call)
        elif rule is False:
            macs = None
            self.uncounted[f"{name} in {layer or 'the model'}"] = None
        shape = tuple(produced[0].shape) if produced else ()
        self.ops.append(
            OpProfile(
                op=name,
                layer=layer,
                macs=macs,
                output_shape=shape,
                new_bytes=new_bytes,
                live_bytes=self.ledger.live,
            )
        )

    def enter(self, layer: str) -> None:
        self.calls[layer] = self.calls.get(layer, 0) + 1

    def leave(self, layer: str, output: Any) -> None:
        first = next(named_tensors(layer, output), None)
        if first is not None:
            self.shapes.setdefault(layer, tuple(first[1].shape))


def is_bias(name: str) -> bool:
    """Whether a parameter of this name is a bias: `bias`, `in_proj_bias`, `bias_ih_l0`."""
    return name == "bias" or name.endswith("_bias") or name.startswith("bias_")


def layer_rows(
    modules: Mapping[str, nn.Module], costs: CostListener, fields: Mapping[str, Field]
) -> tuple[LayerProfile, ...]:
    """Rows of all modules by name: parents before children, children by first use."""
    own_macs = dict.fromkeys(modules, 0)
    own_bytes = dict.fromkeys(modules, 0)
    for op in costs.ops:
        own_macs[op.layer] += op.macs or 0
        own_bytes[op.layer] += op.new_bytes
    met: set[int] = set()
    numbers = {name: _own_numbers(module, met) for name, module in modules.items()}
    macs, params = dict(own_macs), {name: n[0] + n[1] for name, n in numbers.items()}
    never = len(costs.calls)
    order = {name: i for i, name in enumerate(costs.calls)}
    first = {name: order.get(name, never) for name in modules}
    children: dict[str, list[str]] = {name: [] for name in modules}
    for name in reversed(list(modules)):  # children before parents
        if name:
            parent = name.rpartition(".")[0]
            while parent not in modules:  # a shared module may be listed under another name
                parent = parent.rpartition(".")[0]
            macs[parent] += macs[name]
            params[parent] += params[name]
            first[parent] = min(first[parent], first[name])
            children[parent].insert(0, name)
    rows: list[LayerProfile] = []
    stack = [("", 0)]
    while stack:
        name, depth = stack.pop()
        weights, biases, buffers, frozen = numbers[name]
        rows.append(
            LayerProfile(
                name=name,
                kind=type(modules[name]).__name__,
                depth=depth,
                calls=costs.calls.get(name, 0),
                weights=weights,
                biases=biases,
                frozen=frozen,
                buffers=buffers,
                params=params[name],
                own_macs=own_macs[name],
                macs=macs[name],
                output_shape=costs.shapes.get(name),
                activation_bytes=own_bytes[name],
                field=fields.get(name or "output"),
            )
        )
        later = sorted(children[name], key=lambda child: first[child], reverse=True)
        stack += [(child, depth + 1) for child in later]
    return tuple(rows)


def _own_numbers(module: nn.Module, met: set[int]) -> tuple[int, int, int, int]:
    """Weights, biases, buffers and frozen numbers, this module's own and not met before."""
    counts = [0, 0, 0, 0]
    for store, kind in ((module._parameters, 0), (module._buffers, 2)):
        for name, tensor in store.items():
            if tensor is not None and id(tensor) not in met:
                met.add(id(tensor))
                counts[1 if kind == 0 and is_bias(name) else kind] += tensor.numel()
                if kind == 0 and not tensor.requires_grad:
                    counts[3] += tensor.numel()
    return counts[0], counts[1], counts[2], counts[3]
