"""Whole slides: what the pipeline costs beside the network alone, and the memory it takes.

python -m benchmarks.slides WEIGHTS SLIDE                  tiles per second
python -m benchmarks.slides WEIGHTS SLIDE SLIDE --memory 2G   peak memory of `atrous predict`

Throughput: the whole pipeline (reading, decoding, network, labels, store, journal) over the tiles
that touch tissue, against the network alone on the same windows, which lie decoded in memory. Both
in one process, by turns, medians of the rounds after a round of each that does not count. The slide
is opened anew for every round, so that nothing of it is decoded before.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from atrous._journal import Journal
from atrous.data.slides.read import open_slide
from atrous.inference.load import load, require_photo_model
from atrous.inference.slides.run import run_slide
from atrous.inference.slides.store import SlideStore
from atrous.pipelines.predict.options import SlideOptions
from atrous.pipelines.predict.slide_model import plan_of, prepare_model

ROUNDS = 5


def main() -> None:
    """Read the command line, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--mpp", type=float)
    parser.add_argument("--at-mpp", type=float)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--max-tiles", type=int, default=24)
    parser.add_argument("--memory")
    arguments = parser.parse_args()
    for path in arguments.slides:
        if arguments.memory is None:
            print(throughput(path, arguments))
        else:
            print(peak_memory(path, arguments))


def throughput(path: Path, arguments: argparse.Namespace) -> str:
    """Tiles per second of the pipeline and of the network alone."""
    options = SlideOptions(mpp=arguments.mpp, at_mpp=arguments.at_mpp, tile=arguments.tile)
    predictor = require_photo_model(load(arguments.weights), needs_masks=True)
    model = prepare_model(predictor, options)
    with open_slide(path, mpp=arguments.mpp) as slide:
        plan = plan_of(model, slide, options, limit=arguments.max_tiles)
        windows = [[plan.read(slide, tile)] for batch in plan.batches() for tile in batch]
    alone, whole = [], []
    for _ in range(1 + ROUNDS):
        start = perf_counter()
        for window in windows:
            model.network.run(window)
        alone.append(perf_counter() - start)
        with (
            tempfile.TemporaryDirectory() as name,
            open_slide(path, mpp=arguments.mpp) as slide,
        ):
            folder = Path(name)
            start = perf_counter()
            store = SlideStore(folder / "s", size=plan.grid.size, chunk=plan.grid.core)
            with Journal(folder / "journal", run={}) as journal:
                run_slide(
                    slide,
                    model.network,
                    plan,
                    store=store,
                    journal=journal,
                    scratch=folder / "w",
                )
            whole.append(perf_counter() - start)
    alone, whole = alone[1:], whole[1:]
    ratios = [a / w for a, w in zip(alone, whole, strict=True)]
    count = len(windows)
    return (
        f"{path.name}: {count} windows of {plan.window} px; network alone "
        f"{count / median(alone):.2f} tiles/s, pipeline {count / median(whole):.2f} tiles/s, "
        f"ratio {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f} in {ROUNDS} rounds)"
    )


def peak_memory(path: Path, arguments: argparse.Namespace) -> str:
    """Largest resident size of `atrous predict` on one slide."""
    given = (("--mpp", arguments.mpp), ("--at-mpp", arguments.at_mpp), ("--tile", arguments.tile))
    options = [text for name, value in given if value for text in (name, str(value))]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "atrous.cli.main", "predict", str(arguments.weights)),
            *(str(path), "--out", folder, "--memory", arguments.memory, *options),
        ]
        start = perf_counter()
        script = (
            "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); "
            "sys.exit(code)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
        )
        seconds = perf_counter() - start
    if done.returncode:
        return f"{path.name}: {done.stderr}"
    kilobytes = int(done.stderr.split()[-1])
    return (
        f"{path.name}: peak {kilobytes * 1024 / 1e9:.2f} GB under --memory {arguments.memory}, "
        f"{seconds:.0f} s; {done.stdout.strip()}"
    )


if __name__ == "__main__":
    main()
