"""One run of a model on fake tensors, with listeners that see every op and every layer."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol
from weakref import ref

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from atrous.analysis.fields.call import Call, Op, written_arguments
from atrous.analysis.fields.dependence import Run, forget
from atrous.analysis.tracing.asked_types import answering_for_real
from atrous.analysis.tracing.explain import explain
from atrous.analysis.tracing.fake import FakeMaker, Meta
from atrous.analysis.tracing.leaks import check_leaks
from atrous.analysis.tracing.process import as_it_was
from atrous.analysis.tracing.state import State
from atrous.errors import AtrousError

Key = tuple[Any, ...]


class Listener(Protocol):
    """Sees the run go by."""

    def op(self, call: Call, layer: str) -> None:
        """Called after every op, with the dotted name of the innermost layer."""

    def enter(self, layer: str) -> None:
        """Called before the forward pass of a layer."""

    def leave(self, layer: str, output: Any) -> None:
        """Called after the forward pass of a layer."""


@dataclass(frozen=True, slots=True)
class _Fresh:
    """How to make an op's outputs without asking torch again."""

    is_single: bool
    metas: tuple[Meta | None, ...]


class Memo:
    """Shapes of ops seen before; one may serve several runs of one model."""

    def __init__(self) -> None:
        self.known: dict[Key, _Fresh | None] = {}

    def key(self, func: Op, args: Sequence[Any], kwargs: dict[str, Any]) -> Key | None:
        """Everything that the output's shape can depend on; None if that cannot be told."""
        parts: list[Any] = [func]
        for value in (*args, *kwargs, *kwargs.values()):
            if isinstance(value, FakeTensor):
                if value.constant is not None:  # its value is known: the op computes with it
                    return None
                parts.append((value.shape, value.stride(), value.dtype, value.fake_device))
            elif isinstance(value, Tensor):
                return None
            elif isinstance(value, list):
                if any(isinstance(item, Tensor) for item in value):
                    inner = self.key(func, value, {})
                    if inner is None:
                        return None
                    parts.append(inner)
                else:
                    parts.append(tuple(value))
            elif value is None or isinstance(value, _PLAIN):
                parts += (type(value), value)
            else:
                return None
        return tuple(parts)


_PLAIN = (
    *(bool, int, float, complex, str),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)


def _is_memorable(func: Op) -> bool:
    """Ops that return new tensors, or exactly their first argument."""
    if func in _MEMORABLE:
        return _MEMORABLE[func]
    schema = func._schema
    writes = [a.alias_info is not None for a in schema.arguments]
    is_new = not any(writes) and all(r.alias_info is None for r in schema.returns)
    is_inplace = (
        writes[:1] == [True]
        and not any(writes[1:])
        and len(schema.returns) == 1
        and written_arguments(func) == (schema.arguments[0].name,)
        and torch.Tag.inplace_view not in func.tags
        and not schema.name.endswith("resize_")
    )
    answer = (
        (is_new or is_inplace)
        and schema.name.startswith(("aten::", "prims::", "torchvision::"))
        and not ({torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output} & set(func.tags))
    )
    _MEMORABLE[func] = answer
    return answer


_MEMORABLE: dict[Op, bool] = {}


_FILLS = (torch.ops.aten.full.default, torch.ops.aten.zeros.default, torch.ops.aten.ones.default)


class Trace(TorchDispatchMode):
    """Runs ops on fake tensors and tells the listeners."""

    def __init__(self, fakes: FakeMaker, listeners: Sequence[Listener], memo: Memo) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self.fakes = fakes
        self.fake_mode = fakes.mode
        self.listeners = listeners
        self.memo = memo
        self.layers = [""]
        self.idle = Run(())
        self.bug: Exception | None = None
        self.made: list[ref[Tensor]] = []
        self.written: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(
        self, func: Op, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):
            return args[0].fake_device
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # torch hands over composite ops whole then
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        self._save_written(func, args, kwargs)
        out = self._execute(func, args, kwargs)
        if isinstance(out, Tensor):
            self.made.append(ref(out))
        elif isinstance(out, list | tuple):
            self.made += [ref(item) for item in out if isinstance(item, Tensor)]
        call = Call(func, args, kwargs, out, (), self.idle)
        try:
            for listener in self.listeners:
                listener.op(call, self.layers[-1])
        except Exception as error:
            self.bug = error  # ours, not the model's: it must not be explained to the user
            raise
        return out

    def _save_written(self, func: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Copy a real tensor that the op is about to write to; the model never sees the change."""
        if not written_arguments(func):
            return
        call = Call(func, args, kwargs, None, (), self.idle)
        for name in written_arguments(func):
            value = call[name]
            for tensor in value if isinstance(value, list | tuple) else [value]:
                is_real = isinstance(tensor, Tensor) and not isinstance(tensor, FakeTensor)
                if is_real and id(tensor) not in self.written:
                    self.written[id(tensor)] = tensor, tensor.detach().clone()

    def undo_writes(self) -> None:
        """Give real tensors that the run wrote to their numbers back."""
        for tensor, copy in self.written.values():
            tensor.detach().copy_(copy)
            forget(tensor)

    def _execute(self, func: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in _FILLS and prod(args[0]) == 1:
            return self._one_number(func, args, kwargs)
        key = self.memo.key(func, args, kwargs) if _is_memorable(func) else None
        fresh = self.memo.known.get(key) if key is not None else None
        if fresh is not None:
            if not fresh.metas:
                return args[0]
            made = tuple(None if meta is None else self.fakes.make(meta) for meta in fresh.metas)
            return made[0] if fresh.is_single else made
        before = self.fake_mode.cache_enabled
        if any(isinstance(arg, torch.ScriptObject) for arg in args):
            self.fake_mode.cache_enabled = False  # packed weights cannot be compared
        try:
            with self.fake_mode:
                out = func(*args, **kwargs)
        finally:
            self.fake_mode.cache_enabled = before
        if key is not None:
            self.memo.known[key] = _freshness(out, args)
        return out

    def _one_number(self, func: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A single number that forward makes; its value is known, as that of `torch.tensor` is."""
        if kwargs.get("device") not in (None, torch.device("cpu")):
            with self.fake_mode:
                return func(*args, **kwargs)
        real = func(*args, **kwargs)
        converter = self.fake_mode.fake_tensor_converter
        return converter.from_real_tensor(self.fake_mode, real, make_constant=True)


def _freshness(out: Any, args: tuple[Any, ...]) -> _Fresh | None:
    if args and out is args[0]:
        return _Fresh(is_single=True, metas=())
    items = (out,) if isinstance(out, Tensor) else out
    if not isinstance(items, tuple):
        return None
    metas: list[Meta | None] = []
    for item in items:
        if item is None:
            metas.append(None)
        elif (
            isinstance(item, FakeTensor)
            and item.constant is None
            and not any(item is arg for arg in args)
            and item.storage_offset() == 0
            and item.untyped_storage().nbytes() == item.numel() * item.element_size()
        ):
            metas.append((item.shape, item.stride(), item.dtype, item.fake_device))
        else:
            return None
    return _Fresh(is_single=isinstance(out, Tensor), metas=tuple(metas))


@dataclass(slots=True, eq=False)
class Stage:
    """A model whose tensors are fake for the time being, ready to run any number of times.

    Attributes:
        model: The module.
        fakes: Makes tensors of the mode that they belong to.
        memo: Shapes of ops seen before.
        state: Every container the model can reach.
        weights: The fake tensors in place of the model's, by the id of the real one.
        modules: Layers by name, those among them that the last run made.
    """

    model: nn.Module
    fakes: FakeMaker
    memo: Memo
    state: State
    weights: Mapping[int, tuple[Tensor, Tensor]]
    modules: dict[str, nn.Module] = field(default_factory=dict)
    made: list[ref[Tensor]] = field(default_factory=list)

    def fake(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Inputs of the same shapes without numbers."""
        return tuple(self.fakes.like(tensor) for tensor in inputs)

    def run(
        self,
        args: Sequence[Any],
        listeners: Sequence[Listener],
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run once; returns the fake output, and tells the listeners of it under the name `""`.

        Raises:
            ShapeError: If the model does not take inputs of these shapes.
            AtrousError: If its forward pass needs numbers, or fails otherwise.
        """
        trace = Trace(self.fakes, listeners, self.memo)
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        try:
            with torch.no_grad(), _quiet(), _watching_layers(self.model, trace), trace:
                for listener in listeners:
                    listener.enter("")
                out = self.model(*args, **(kwargs or {}))
            del trace.layers[1:]
            for listener in listeners:
                listener.leave("", out)
        except AtrousError:
            raise
        except (Exception, SystemExit) as error:
            if error is trace.bug:
                raise
            raise explain(error, self.model, trace.layers[-1], tensors) from error
        else:
            return out
        finally:
            self.modules = dict(self.model.named_modules())
            for (
                weak
            ) in trace.made:  # marks refer to other tensors, and these to graphs of gradients
                tensor = weak()
                if tensor is not None:
                    forget(tensor)
            self.made += trace.made
            trace.undo_writes()
            self.state.rewind()
            for _, fake in self.weights.values():
                forget(fake)


@contextmanager
def staged(model: nn.Module) -> Iterator[Stage]:
    """Make a model's tensors fake; on leaving, it is as it was.

    Raises:
        AtrousError: On leaving, if a run has put its tensors where they cannot be taken back from.
    """
    fakes = FakeMaker(FakeTensorMode(allow_non_fake_inputs=True))
    weights: dict[int, tuple[Tensor, Tensor]] = {}

    def swap(tensor: Tensor) -> Tensor:
        if id(tensor) not in weights:
            weights[id(tensor)] = tensor, fakes.like(tensor)
            weights[id(tensor)][1]._of_model = tensor  # type: ignore[attr-defined]  # our own mark
        return weights[id(tensor)][1]

    # In inference mode some ops come under another name, with other arguments.
    with torch.inference_mode(False), as_it_was(), answering_for_real(model):
        state = State(model, swap)
        stage = Stage(model, fakes, Memo(), state, weights)
        try:
            yield stage
        finally:
            state.restore()
            stage.modules.clear()
        check_leaks(stage.made, model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from logging the traceback of an error that is about to be explained."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@contextmanager
def _watching_layers(model: nn.Module, trace: Trace) -> Iterator[None]:
    """Keep the stack of layer names, by hooks that are no model's own.

    The model itself is no layer here: what it returns is what its caller gets, whether or not it
    went through `nn.Module.__call__`.
    """
    names = {id(module): name for name, module in model.named_modules() if name}
    foreign: set[int] = {id(model)}
    hooks = []

    def name_of(module: nn.Module) -> str | None:
        key = id(module)
        if key not in names and key not in foreign:  # it was made by this very run, or is no part
            names.update({id(m): n for n, m in model.named_modules() if n and id(m) not in names})
            foreign.add(key)
        return names.get(key)

    def enter(module: nn.Module, _: Any) -> None:
        name = name_of(module)
        if name is not None:
            trace.layers.append(name)
            for listener in trace.listeners:
                listener.enter(name)

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        name = names.get(id(module))
        if name is not None and name in trace.layers:
            while trace.layers.pop() != name:
                pass  # layers that were left by an exception the model itself caught
            for listener in trace.listeners:
                listener.leave(name, output)

    def leave_early(module: nn.Module, inputs: Any, output: Any) -> None:
        if not module._forward_hooks:
            leave(module, inputs, output)

    hooks += [
        module.register_forward_hook(leave)
        for module in model.modules()  # torch runs the hooks of a module after those of all
        if module._forward_hooks and module is not model
    ]
    hooks += [register_module_forward_pre_hook(enter), register_module_forward_hook(leave_early)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
