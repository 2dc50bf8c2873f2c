"""Training images per second of our loop, against the same network trained plainly.

Run: `python -m benchmarks.training [--compile] [--json FILE]`.

The network is ESPNet (p=2, q=8, 11 classes), batches of 4 at 360x480 from memory, cross-entropy,
AdamW. Baseline: eager, contiguous, float32, with torch's default optimiser and allocator settings,
batches already floats. Ours starts from 8-bit pixels: it normalises them, clips, and keeps a moving
average, all of which the baseline lacks.
"""

import json
import sys
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.segmenters.espnet import espnet
from atrous.pipelines.allocator import keep_freed_memory
from atrous.training.batches import Batch
from atrous.training.fit import Step, fit, start_state
from atrous.training.objective import objective_of
from atrous.training.recipe.recipe import Recipe
from benchmarks.timing import Timing, machine, time_in_turn

SIZE = (360, 480)
BATCH = 4
CLASSES = 11


def main() -> None:
    keep_freed_memory()  # as the command does; the baseline profits too
    torch.manual_seed(0)
    batch = Batch(
        torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8),
        torch.randint(0, CLASSES, (BATCH, *SIZE)),
        None,
        ("random",) * BATCH,
    )
    ours = _ours(batch, has_compile="--compile" in sys.argv)
    plain = _plain(batch)
    timings = time_in_turn(
        {"plain eager, contiguous": plain, "atrous train": lambda: next(ours)}, rounds=8
    )
    _print(timings)
    if "--json" in sys.argv:
        rows = {name: BATCH / timing.median for name, timing in timings.items()}
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(rows))


def _plain(batch: Batch) -> Callable[[], None]:
    network = espnet(num_classes=CLASSES)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    images = batch.images.float() / 255

    def step() -> None:
        assert batch.masks is not None
        loss = F.cross_entropy(network(images), batch.masks, ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def _ours(batch: Batch, *, has_compile: bool) -> Iterator[Step]:
    recipe = Recipe(
        name="espnet.benchmark",
        network="espnet",
        layout="camvid",
        data=("none",),
        epochs=1,
        batch_size=BATCH,
        learning_rate=1e-3,
        clip=5.0,
        ema=0.999,
        compile=has_compile,
    )
    state = start_state(espnet(num_classes=CLASSES), recipe, Accelerator(cpu=True))
    objective = objective_of(recipe, "segmentation", num_classes=CLASSES, class_weights=None)
    facts = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    return fit(
        state,
        repeat(batch),
        objective,
        recipe,
        facts,
        total_steps=1_000_000,
        steps_per_epoch=1_000,
    )


def _print(timings: dict[str, Timing]) -> None:
    baseline = timings["plain eager, contiguous"].median
    print(
        f"ESPNet, batches of {BATCH} at {SIZE[0]}x{SIZE[1]}; {machine()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print(f"{'':<28}{'images/s':>10}{'quartiles':>18}{'ratio':>8}")
    for name, timing in timings.items():
        bounds = f"{BATCH / timing.high:.2f} to {BATCH / timing.low:.2f}"
        rate = BATCH / timing.median
        print(f"{name:<28}{rate:>10.2f}{bounds:>18}{baseline / timing.median:>8.2f}")


if __name__ == "__main__":
    main()
