"""CPU time of every classifier beside torchvision's own of the same architecture.

    python -m benchmarks.classifiers [--networks resnet18 vgg11] [--batch 1 8] [--json out.json]

Both networks of a row are in eval mode and channels_last, on one thread by default, at 224 x 224
(Inception v3 at 299 x 299). It is CPU time that is taken, which other processes do not add to, and
the runs alternate, so that what they do to caches and clock falls on both. Times are medians after
warm-up; the ratio is the median of the ratios of neighbouring runs, and below 1 ours is faster.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from atrous.networks.catalog import NETWORKS, build_network, network_entry
from benchmarks.timing import machine

ALLOWED = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network at one batch size."""

    network: str
    batch: int
    ours_ms: float
    theirs_ms: float
    ratio: float


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    print(
        f"{machine()}, torch {torch.__version__}; {arguments.threads} thread(s), "
        f"{arguments.repeats} runs"
    )
    print(f"{'network':<24}{'batch':>6}{'ours ms':>10}{'theirs ms':>11}{'ratio':>8}")
    rows = []
    for name in arguments.networks:
        for batch in arguments.batch:
            row = measure(name, batch, repeats=arguments.repeats)
            rows.append(row)
            print(
                f"{name:<24}{batch:>6}{row.ours_ms:>10.2f}{row.theirs_ms:>11.2f}"
                f"{row.ratio:>8.3f}{'  slower' if row.ratio > ALLOWED else ''}",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def parse() -> argparse.Namespace:
    compared = [name for name in NETWORKS if their_builder(name) is not None]
    parser = argparse.ArgumentParser(description="CPU time beside torchvision's.")
    parser.add_argument("--networks", nargs="+", default=compared, choices=compared)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def their_builder(name: str) -> Callable[[], nn.Module] | None:
    """How torchvision builds the same network; None if it has none."""
    from torchvision import models

    theirs = name.removesuffix("_torchvision")
    if theirs not in models.list_models(module=models) or name == "googlenet":
        return None  # torchvision's googlenet is our googlenet_torchvision
    if theirs in {"googlenet", "inception_v3"}:
        return lambda: models.get_model(theirs, weights=None, init_weights=False, aux_logits=False)
    return lambda: models.get_model(theirs, weights=None)


@torch.inference_mode()
def measure(name: str, batch: int, *, repeats: int) -> Row:
    build = their_builder(name)
    assert build is not None
    layout = torch.channels_last
    ours = build_network(name).eval().to(memory_format=layout)
    theirs = build().eval().to(memory_format=layout)
    x = torch.randn(batch, 3, *network_entry(name).size).to(memory_format=layout)
    for _ in range(2):
        ours(x)
        theirs(x)
    pairs = []
    for index in range(repeats):
        # Whoever runs second finds its caches filled by the other: take turns.
        if index % 2:
            theirs_time = seconds(theirs, x)
            ours_time = seconds(ours, x)
        else:
            ours_time = seconds(ours, x)
            theirs_time = seconds(theirs, x)
        pairs.append((ours_time, theirs_time))
    return Row(
        network=name,
        batch=batch,
        ours_ms=1e3 * statistics.median(ours for ours, _ in pairs),
        theirs_ms=1e3 * statistics.median(theirs for _, theirs in pairs),
        ratio=statistics.median(ours / theirs for ours, theirs in pairs),
    )


def seconds(model: nn.Module, x: Tensor) -> float:
    start = time.process_time()
    model(x)
    return time.process_time() - start


if __name__ == "__main__":
    main()
