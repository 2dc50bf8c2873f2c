"""`python -m tests.analysis.fuzz --graphs 10000 --seed 0`: a long run, faults as they come."""

import argparse
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection

import torch
from tests.analysis.fuzz.graphs import draw
from tests.analysis.fuzz.verdicts import Fault, judge

Answer = tuple[int, str, list[Fault]]
"""Seed, kind of its case, and what is said wrongly of it."""


def _work(seeds: range, answers: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for seed in seeds:
        case = draw(seed)
        answers.send((seed, case.kind, judge(case)))


def judged(seeds: range, seconds: float) -> Iterator[Answer]:
    """Judge one case for each seed, in a process that is ended when one case takes too long.

    Another process goes on after it: a loop that never ends may have left torch in any state.

    Raises:
        RuntimeError: If a case brings the process down, or the fuzzer itself fails on it.
    """
    context = multiprocessing.get_context("fork")
    while seeds:
        answers, other_end = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(seeds, other_end), daemon=True)
        worker.start()
        other_end.close()
        try:
            while seeds and answers.poll(seconds):
                answer: Answer = answers.recv()
                seeds = seeds[1:]
                yield answer
        except EOFError as error:
            raise RuntimeError(f"the fuzzer fails on seed {seeds[0]}; see above") from error
        finally:
            worker.kill()
            worker.join()
        if seeds:
            fault = Fault("endless", f"nothing within {seconds:.0f} s", "an answer")
            yield seeds[0], draw(seeds[0]).kind, [fault]
            seeds = seeds[1:]


def main() -> int:
    """Judge one graph for each seed; the exit code tells whether there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.analysis.fuzz", description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000, help="how many; one seed each")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=int, default=60, help="after which a graph is given up")
    parser.add_argument("--every", type=int, default=500, help="graphs between lines of progress")
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.graphs)
    begin, sorts, wrong = time.monotonic(), Counter[str](), 0
    for done, (seed, kind, faults) in enumerate(judged(seeds, arguments.seconds), start=1):
        wrong += bool(faults)
        sorts.update(fault.sort for fault in faults)
        for fault in faults:
            print(f"seed {seed} [{kind}] {fault}", flush=True)
        if done % arguments.every == 0:
            spent = time.monotonic() - begin
            print(f"{done} graphs, {wrong} with faults, {spent:.0f} s", flush=True)
    print(f"seeds {seeds[0]} to {seeds[-1]}: {wrong} of {len(seeds)} models with faults")
    print(", ".join(f"{sort} {count}" for sort, count in sorts.most_common()) or "no faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
