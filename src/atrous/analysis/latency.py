"""How long one forward pass takes, measured with care: warmed up, repeated, median and spread."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from atrous.analysis.tracing.fake import image_shape, input_device, input_dtype, unwrap
from atrous.analysis.tracing.mode import in_mode
from atrous.errors import AtrousError, ShapeError

Layout = Literal["contiguous", "channels_last"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLatency:
    """Time spent in one layer, a median over runs.

    Attributes:
        name: Dotted name; empty for the model itself.
        kind: Class of the module.
        seconds: With everything below it.
        own_seconds: Without the layers below it.
        share: `own_seconds` over the whole model's seconds.
    """

    name: str
    kind: str
    seconds: float
    own_seconds: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time of one forward pass.

    Attributes:
        median_seconds: Half the runs were faster.
        spread_seconds: Between the first and the third quartile.
        seconds: Every run, in order.
        batch_size: Samples per run.
        num_threads: Threads torch used on the CPU.
        layout: Memory format of weights and input.
        precision: Type of the arithmetic; bfloat16 is torch's autocast.
        device: Where it ran.
        layers: Per layer; empty if not asked for. Measured in runs of their own, which are slower.
    """

    median_seconds: float
    spread_seconds: float
    seconds: tuple[float, ...]
    batch_size: int
    num_threads: int
    layout: Layout
    precision: Precision
    device: str
    layers: tuple[LayerLatency, ...]

    @property
    def images_per_second(self) -> float:
        return self.batch_size / self.median_seconds


def latency(
    model: nn.Module,
    size: Sequence[int],
    *,
    in_channels: int | None = None,
    batch_size: int = 1,
    num_threads: int | None = None,
    layout: Layout = "contiguous",
    precision: Precision = "float32",
    num_warmups: int = 3,
    num_runs: int = 20,
    with_layers: bool = False,
) -> Latency:
    """Median and spread of the time of a forward pass, in evaluation mode and without gradients.

    Args:
        model: Any module with real weights.
        size: Spatial lengths of the input.
        in_channels: Channels of the input; read off the first convolution if left out.
        batch_size: Samples per run.
        num_threads: Threads on the CPU; default: as torch is set. Set back afterwards.
        layout: Memory format of weights and input; `channels_last` is measured on a copy.
        precision: `bfloat16` runs under autocast.
        num_warmups: Runs that are thrown away first.
        num_runs: Runs that are measured.
        with_layers: Also time every layer, in as many further runs.

    Raises:
        ShapeError: If a length or count is not positive.
        AtrousError: If the model has no weights, or for bfloat16 with channels_last on the CPU,
            where torch 2.15 gives wrong gradients and crashes.
    """
    model = unwrap(model)
    device = next((p.device for p in model.parameters()), input_device(model))
    _refuse(device, layout, precision)
    _check_counts(num_runs, num_warmups, num_threads)
    shape = image_shape(model, size, in_channels=in_channels, batch_size=batch_size)
    noise = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=noise).to(device=device, dtype=input_dtype(model))
    if layout == "channels_last":
        model, image = _with_channels_last(model, image)
    with _threads(num_threads), in_mode(model), torch.inference_mode():
        used = torch.get_num_threads()
        with _casting(device, precision):
            for _ in range(num_warmups):
                model(image)
            seconds = [_time(lambda: model(image), device) for _ in range(num_runs)]
            layers = _time_layers(model, image, device, num_runs) if with_layers else ()
    low, _, high = quantiles(seconds, n=4) if num_runs > 1 else seconds * 3
    return Latency(
        median_seconds=median(seconds),
        spread_seconds=high - low,
        seconds=tuple(seconds),
        batch_size=batch_size,
        num_threads=used,
        layout=layout,
        precision=precision,
        device=str(device),
        layers=layers,
    )


def _check_counts(num_runs: int, num_warmups: int, num_threads: int | None) -> None:
    counts = {"num_runs": num_runs, "num_warmups": num_warmups, "num_threads": num_threads}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | None):
            raise ShapeError(f"`{name}` is {count!r}; it must be a whole number.")
    if num_runs < 1 or num_warmups < 0 or (num_threads is not None and num_threads < 1):
        raise ShapeError(
            f"Got num_runs={num_runs}, num_warmups={num_warmups}, num_threads={num_threads}; "
            "runs and threads must be at least 1 and warm-ups at least 0."
        )


def _refuse(device: torch.device, layout: Layout, precision: Precision) -> None:
    """What cannot be measured, or would crash."""
    for name, value, known in (
        ("layout", layout, get_args(Layout)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in known:
            raise AtrousError(f"`{name}` is {value!r}; it must be one of {', '.join(known)}.")
    if device.type == "meta":
        raise AtrousError(
            "The model has no weights (it is on the meta device); load or create them first."
        )
    if device.type == "cpu" and precision == "bfloat16" and layout == "channels_last":
        raise AtrousError(
            "bfloat16 with channels_last is not safe on the CPU (torch crashes or gives NaN "
            "gradients); use layout='contiguous' with bfloat16, or precision='float32' with "
            "channels_last."
        )


def _with_channels_last(model: nn.Module, image: Tensor) -> tuple[nn.Module, Tensor]:
    """A copy of the model and the image in channels-last order."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if image.ndim not in formats:
        raise ShapeError(
            f"channels_last needs 2 or 3 spatial axes, but the size has {image.ndim - 2}."
        )
    memory_format = formats[image.ndim]
    twin = deepcopy(model)
    for theirs, ours in zip(model.modules(), twin.modules(), strict=True):
        if ours.training != theirs.training:  # torchvision's extractors forget it in copies
            ours.train(theirs.training)
    return twin.to(memory_format=memory_format), image.to(memory_format=memory_format)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _casting(device: torch.device, precision: Precision) -> Any:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time(action: Callable[[], Any], device: torch.device) -> float:
    """Seconds until the device has finished."""
    _wait(device)
    start = perf_counter()
    action()
    _wait(device)
    return perf_counter() - start


def _time_layers(
    model: nn.Module, image: Tensor, device: torch.device, num_runs: int
) -> tuple[LayerLatency, ...]:
    """Median seconds of every layer that runs, slowest of its own first."""
    names = {id(module): name for name, module in model.named_modules()}
    inside: dict[str, list[float]] = {}
    alone: dict[str, list[float]] = {}
    stack: list[list[float]] = []

    def enter(module: nn.Module, _: Any) -> None:
        if id(module) in names:
            _wait(device)
            stack.append([perf_counter(), 0.0])

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        if id(module) in names:
            _wait(device)
            start, below = stack.pop()
            spent = perf_counter() - start
            if stack:
                stack[-1][1] += spent
            name = names[id(module)]
            inside[name][-1] += spent
            alone[name][-1] += spent - below

    hooks = (register_module_forward_pre_hook(enter), register_module_forward_hook(leave))
    try:
        for _ in range(num_runs):
            for name in names.values():
                inside.setdefault(name, []).append(0.0)
                alone.setdefault(name, []).append(0.0)
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    total = median(inside[""])
    rows = [
        LayerLatency(
            name=name,
            kind=type(model.get_submodule(name)).__name__,
            seconds=median(inside[name]),
            own_seconds=median(alone[name]),
            share=median(alone[name]) / total,
        )
        for name in names.values()
        if max(inside[name]) > 0
    ]
    return tuple(sorted(rows, key=lambda row: row.own_seconds, reverse=True))
