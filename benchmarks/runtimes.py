"""Runtimes and precisions against the plain eager network, in one run.

python -m benchmarks.runtimes [MODEL …] [--size 360x480] [--images FOLDER]

For each model and runtime: milliseconds of the network on one image, ratio to the plain network in
torch (eager, contiguous, neither folded nor channels last) in the same run, time to the first
answer with the graph in the cache, and share of classes equal to the plain network's. A round is
one call of each, by turns; medians with quartiles of the rounds after those that warm up.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from atrous._argmax import argmax_classes
from atrous.inference.load import load
from atrous.inference.model import Model
from atrous.inference.volumes.predictor import VolumePredictor
from atrous.pipelines.export_inputs import comparison_inputs
from atrous.pipelines.sizes import parse_lengths
from atrous.runtimes.engine import Precision
from atrous.runtimes.graph import Signature
from atrous.runtimes.open import Runtime

WARM_UP, ROUNDS = 3, 15
OTHERS: tuple[tuple[Runtime, Precision], ...] = (
    ("eager", "float32"),
    ("compiled", "float32"),
    ("compiled", "bfloat16"),
    ("onnx", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["people", "hippocampus"])
    parser.add_argument("--size", type=parse_lengths)
    parser.add_argument("--images", type=Path)
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads\n")
    print("| model | size | runtime | ms (quartiles) | to plain eager | first, s | classes equal |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.models:
        measure(name, arguments.size, arguments.images)


@torch.inference_mode()
def measure(name: str, size: tuple[int, ...] | None, images: Path | None) -> None:
    """Rows of one model."""
    plain = load(name)
    signature = Signature(size=size or plain.card.preprocessing.size or _usual(plain))
    inputs, _ = comparison_inputs(plain.card, signature, images)
    runs: dict[str, Callable[[Tensor], object]] = {"plain eager": plain_network(name)}
    first: dict[str, float] = {}
    for runtime, precision in OTHERS:
        # The graph, or the code for this size, is in the cache from here on.
        fast_network(load(name, runtime=runtime, precision=precision))(inputs[0])
        begin = perf_counter()
        run = fast_network(load(name, runtime=runtime, precision=precision))
        run(inputs[0])
        label = f"{runtime} {precision}"
        first[label], runs[label] = perf_counter() - begin, run
    times: dict[str, list[float]] = {label: [] for label in runs}
    for turn in range(WARM_UP + ROUNDS):
        for label, run in runs.items():
            begin = perf_counter()
            run(inputs[turn % len(inputs)])
            if turn >= WARM_UP:
                times[label].append(1000 * (perf_counter() - begin))
    base = statistics.median(times["plain eager"])
    expected = [_classes(runs["plain eager"](x)) for x in inputs]
    for label, run in runs.items():
        low, middle, high = statistics.quantiles(times[label], n=4)
        pairs = zip(expected, inputs, strict=True)
        equal = statistics.fmean(float((a == _classes(run(x))).float().mean()) for a, x in pairs)
        row = [plain.card.name, "x".join(map(str, signature.size or ())), label]
        row += [f"{middle:.1f} ({low:.1f} to {high:.1f})", f"{base / middle:.2f}"]
        row += [f"{first[label]:.2f}" if label in first else "", f"{equal:.4%}"]
        print("| " + " | ".join(row) + " |", flush=True)


def _usual(model: Model) -> tuple[int, ...]:
    return (40, 56, 40) if model.kind == "volumes" else (360, 480)


def plain_network(name: str) -> Callable[[Tensor], object]:
    """The network as it is built, in eval mode."""
    from atrous.networks.shipped import resolve_weights
    from atrous.networks.weights import load_weights

    return load_weights(resolve_weights(name)).network


def fast_network(model: Model) -> Callable[[Tensor], object]:
    """What `predict` runs, in the memory format in which it does."""
    if isinstance(model, VolumePredictor):
        return model.engine or model.network
    network: Callable[[Tensor], object] = model.fast_network  # type: ignore[attr-defined]
    return lambda x: network(x.contiguous(memory_format=torch.channels_last))


def _classes(output: object) -> Tensor:
    logits = output if isinstance(output, Tensor) else output[0]  # type: ignore[index]
    return argmax_classes(logits, dim=1)


if __name__ == "__main__":
    main()
