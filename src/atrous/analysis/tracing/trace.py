"""One run of a model on fake tensors, with listeners that see every op and every layer."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from atrous.analysis.fields.dependence import Run, forget
from atrous.analysis.tracing.call import Call, Op, written_arguments
from atrous.analysis.tracing.fake import new_fake, without_weights
from atrous.errors import AtrousError, ShapeError

Key = tuple[Any, ...]
Meta = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]


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
            else:
                parts += (type(value), value)
        return tuple(parts)


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
    answer = (is_new or is_inplace) and not (
        {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output} & set(func.tags)
    )
    _MEMORABLE[func] = answer
    return answer


_MEMORABLE: dict[Op, bool] = {}


class Trace(TorchDispatchMode):
    """Runs ops on fake tensors and tells the listeners."""

    def __init__(
        self, fake_mode: FakeTensorMode, listeners: Sequence[Listener], memo: Memo
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self.fake_mode = fake_mode
        self.listeners = listeners
        self.memo = memo
        self.layers = [""]
        self.idle = Run(())
        self.bug: Exception | None = None

    def __torch_dispatch__(
        self, func: Op, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):
            return args[0].fake_device
        kwargs = kwargs or {}
        out = self._execute(func, args, kwargs)
        call = Call(func, args, kwargs, out, (), self.idle)
        try:
            for listener in self.listeners:
                listener.op(call, self.layers[-1])
        except Exception as error:
            self.bug = error  # ours, not the model's: it must not be explained to the user
            raise
        return out

    def _execute(self, func: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.memo.key(func, args, kwargs) if _is_memorable(func) else None
        fresh = self.memo.known.get(key) if key is not None else None
        if fresh is not None:
            if not fresh.metas:
                return args[0]
            made = tuple(None if meta is None else self._make(meta) for meta in fresh.metas)
            return made[0] if fresh.is_single else made
        with self.fake_mode:
            out = func(*args, **kwargs)
        if key is not None:
            self.memo.known[key] = _freshness(out, args)
        return out

    def _make(self, meta: Meta) -> Tensor:
        shape, stride, dtype, device = meta
        return FakeTensor(
            self.fake_mode, torch.empty_strided(shape, stride, dtype=dtype, device="meta"), device
        )


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


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A model whose tensors are fake for the time being, ready to run any number of times."""

    model: nn.Module
    mode: FakeTensorMode
    memo: Memo

    def fake(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Inputs of the same shapes without numbers."""
        return tuple(new_fake(self.mode, tensor) for tensor in inputs)

    def run(self, fakes: Sequence[Tensor], listeners: Sequence[Listener]) -> Any:
        """Run once; returns the fake output.

        Raises:
            ShapeError: If the model does not take inputs of these shapes.
            AtrousError: If its forward pass needs numbers, or fails otherwise.
        """
        trace = Trace(self.mode, listeners, self.memo)
        try:
            with torch.no_grad(), _quiet(), _watching_layers(self.model, trace), trace:
                return self.model(*fakes)
        except AtrousError:
            raise
        except Exception as error:
            if error is trace.bug:
                raise
            raise _explain(error, self.model, trace, fakes) from error
        finally:
            for tensor in (*self.model.parameters(), *self.model.buffers()):
                forget(tensor)


@contextmanager
def staged(model: nn.Module) -> Iterator[Stage]:
    """Make a model's tensors fake; on leaving, it is as it was."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    # In inference mode some ops come under another name, with other arguments.
    with torch.inference_mode(False), without_weights(model, mode):
        yield Stage(model, mode, Memo())


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
    """Keep the stack of layer names, by hooks that are no model's own."""
    names = {id(module): name for name, module in model.named_modules()}

    def enter(module: nn.Module, _: Any) -> None:
        name = names.get(id(module))
        if name is not None:
            trace.layers.append(name)
            for listener in trace.listeners:
                listener.enter(name)

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        name = names.get(id(module))
        if name is not None:
            while trace.layers.pop() != name:
                pass  # layers that were left by an exception the model itself caught
            for listener in trace.listeners:
                listener.leave(name, output)

    hooks = (register_module_forward_pre_hook(enter), register_module_forward_hook(leave))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _explain(
    error: Exception, model: nn.Module, trace: Trace, inputs: Sequence[Tensor]
) -> AtrousError:
    """Turn whatever a forward pass raised into one line for its user."""
    name = trace.layers[-1]
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        layer = model
    where = f"layer {name!r} ({type(layer).__name__})" if name else type(layer).__name__
    shapes = " and ".join("x".join(map(str, tensor.shape)) for tensor in inputs)
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    first_line += "" if first_line[-1] in ".!?" else "."
    if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
        return AtrousError(
            f"In {where} the op {error.func} turns values of a tensor into control flow or into a "
            "shape, so the cost depends on the data and not on the size alone; take that step out "
            "of forward, or analyse the parts before and after it."
        )
    if isinstance(error, UnsupportedOperatorException | NotImplementedError):
        return AtrousError(
            f"An op in {where} cannot run without numbers: {first_line} Register a fake kernel for "
            "it (torch.library.register_fake), or analyse the parts before and after it."
        )
    if isinstance(error, RuntimeError | ValueError | AssertionError | IndexError):
        return ShapeError(
            f"{type(model).__name__} does not take an input of {shapes}: {where} says: "
            f"{first_line} Check the size, the number of channels, and whether it must be larger."
        )
    return AtrousError(
        f"The forward pass of {type(model).__name__} failed on an input of {shapes}, in {where}: "
        f"{type(error).__name__}: {first_line}"
    )
