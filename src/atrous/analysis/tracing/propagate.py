"""Carries fields along while a network runs, also through writes into views."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Shape
from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.constants import constant_of, mark_result, record, written_tensors
from atrous.analysis.fields.dependence import Dependence, Run, collapse, everything, merge, nothing
from atrous.analysis.fields.follow import follow
from atrous.analysis.fields.meeting import is_random, meet
from atrous.analysis.rules import READS_FIRST, op_name, rule_of
from atrous.analysis.rules.pointwise import pointwise
from atrous.analysis.tracing.cancellation import cancel
from atrous.analysis.tracing.signs import rectify
from atrous.analysis.tracing.values import keep
from atrous.analysis.tracing.writes import overwrite, register_view

Graph = dict[int, tuple[Dependence, tuple[Dependence, ...], str, str]]
"""By id: a dependence, what it was made from, and the op and layer that made it."""


@dataclass(slots=True, eq=False)
class FieldListener:
    """Gives every tensor of a run its dependence on the input."""

    run: Run
    keeps_graph: bool = False
    graph: Graph = field(default_factory=dict)

    def op(self, call: Call, layer: str) -> None:
        """Carry the fields of one op."""
        call.run = self.run
        call.out_shapes = tuple(tuple(t.shape) for t in outputs(call.out))
        call.is_pointwise = rule_of(call.func) is pointwise
        tensors = call.tensors()
        name = op_name(call.func)
        is_fed = False
        for tensor in tensors:
            is_fed = self._origin(tensor) or is_fed
        self.run.op, self.run.layer = name, layer
        self.run.step += 1
        if is_fed:
            result = meet(self.run, call, name, self._proved(call))
            result = follow(self.run, call, name, result)
            result, values = cancel(self.run, call, name, result)
            result = rectify(self.run, call, name, result)
            self._remember(result, tensors)
            if torch.Tag.inplace_view in call.func.tags:
                dependence.attach(call.first, result[0])
            else:
                self._give(call, name, written_tensors(call), result)
            keep(call, values)
        else:
            record(self.run, call, name, is_random=is_random(call, name))
            for tensor in written_tensors(call):
                if hasattr(tensor, "_atrous_view") or hasattr(tensor, "_atrous_views"):
                    overwrite(self.run, tensor, None)
        if call.func.is_view:
            register_view(call)

    def _origin(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on the input; one of unknown origin may depend on all of it."""
        known = tensor.__dict__
        if "_atrous_dependence" in known:
            return known["_atrous_dependence"] is not None
        if constant_of(self.run, tensor) is not None:
            return False
        self.run.op = "a tensor of unknown origin"
        dependence.attach(tensor, everything(self.run, tensor.ndim))
        return True

    def _proved(self, call: Call) -> list[Dependence | None]:
        """What the op's rule says of every output; a bound where it says nothing that fits."""
        shapes = call.out_shapes
        rule = rule_of(call.func)
        try:
            result = rule(call)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError):
            # A rule that cannot read the op's arguments proves nothing about the op.
            return [self._anything(call, len(shape)) for shape in shapes]
        results: list[Dependence | None]
        if result is None or isinstance(result, Dependence):
            results = [result] * len(shapes)
        else:
            results = list(result)
        if len(results) < len(shapes):
            results += [None] * (len(shapes) - len(results))
        if rule in READS_FIRST and len(call.tensors()) > 1:
            others = [d for d in map(dependence.of, call.tensors()[1:]) if d is not None]
            if others:
                return [self._anything(call, len(shape)) for shape in shapes]
        return [
            dep if dep is None or _fits(dep, shape) else self._anything(call, len(shape))
            for dep, shape in zip(results, shapes, strict=False)
        ]

    def _anything(self, call: Call, ndim: int) -> Dependence | None:
        """All that the tensors of an op depend on, as a bound."""
        known = [d for d in map(dependence.of, call.tensors()) if d is not None]
        total = merge(self.run, [collapse(self.run, d) for d in known], ndim)
        return None if total is None else total.noting(self.run.note("unknown"))

    def _give(
        self, call: Call, name: str, targets: list[Tensor], result: list[Dependence | None]
    ) -> None:
        """Attach what is known to new outputs, and to the arguments that were written to."""
        produced = outputs(call.out)
        of_target: dict[int, Dependence | None] = {}
        for tensor, dep in zip(produced, result, strict=False):
            if any(tensor is target for target in targets):
                of_target[id(tensor)] = dep
            else:
                dependence.attach(tensor, dep)
                if dep is None:
                    mark_result(call, name, tensor)
        for target in targets:
            # What an op writes besides what it returns (statistics, counters) may hold anything.
            dep = (
                of_target[id(target)]
                if id(target) in of_target
                else self._anything(call, target.ndim)
            )
            if dep is None:
                mark_result(call, name, target)
                if self._writes_places(call, target):
                    dep = nothing(self.run, target.ndim).noting(self.run.note("shift-variant"))
            overwrite(self.run, target, dep)

    def _writes_places(self, call: Call, target: Tensor) -> bool:
        """Whether a constant that differs from place to place is written over the input's maps."""
        for tensor in call.tensors():
            if tensor is not target and dependence.of(tensor) is None:
                constant = constant_of(self.run, tensor)
                if constant is None or constant.is_noise or constant.varying():
                    return True
        return False

    def _remember(self, result: list[Dependence | None], tensors: list[Tensor]) -> None:
        """Note how large the arrays get and, if asked, what a dependence was made from."""
        run = self.run
        parents: tuple[Dependence, ...] | None = None
        for dep in result:
            if dep is None:
                continue
            run.largest = max(run.largest, *(v.size for v in dep.axes))
            if self.keeps_graph:
                if parents is None:
                    parents = tuple(d for d in map(dependence.of, tensors) if d is not None)
                if not any(dep is parent for parent in parents):
                    self.graph[id(dep)] = (dep, parents, run.op, run.layer)


def _fits(dep: Dependence, shape: Shape) -> bool:
    """Whether arrays broadcast to a tensor's shape, as every rule promises."""
    for v in dep.axes:
        if v.ndim != len(shape) + 1:
            return False
        for a, b in zip(v.shape, shape, strict=False):
            if a not in (1, b):
                return False
    return True
