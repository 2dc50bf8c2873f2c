"""Fields through recurrent layers: a step sees all steps before it."""

import numpy as np

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, collapse, merge, reduce_dims


def lstm_layer(call: Call) -> list[Dependence | None]:
    """`mkldnn_rnn_layer`: one direction of an LSTM over `(T, B, F)`; outputs, states, workspace."""
    run = call.run
    dep = call.dep("input")
    states = [call.dep(name) for name in ("hx_", "cx_")]
    others = [d for d in map(dependence.of, call.tensors()[1:]) if d is not None]
    if len(others) > sum(state is not None for state in states):  # computed weights
        others = [d.noting(run.note("unknown")) for d in others]
    others = [collapse(run, d) for d in others]
    total = merge(run, [None if dep is None else collapse(run, dep), *others], 0)
    if total is None:
        return [None] * len(call.out_shapes)
    steps = None if dep is None else reduce_dims(run, dep, [dep.axes[0].ndim - 2])
    if steps is not None:
        steps = steps.map(_backward if call["reverse"] else _forward, run)
    out = merge(run, [steps, *others], len(call.out_shape))
    rest = [merge(run, [total], len(shape)) for shape in call.out_shapes[1:]]
    return [out, *rest]


def _forward(axis: Axis, v: Array) -> Array:
    return v if v.shape[0] == 1 else axis.union.accumulate(v, axis=0)


def _backward(axis: Axis, v: Array) -> Array:
    return v if v.shape[0] == 1 else np.flip(axis.union.accumulate(np.flip(v, 0), axis=0), 0)
