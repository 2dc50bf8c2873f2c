"""`python -m tests.fuzz --files 10000 --seed 0`: mutated files, and counts by format."""

import argparse
import logging
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import psutil
import torch
from tests.fuzz.formats import FORMATS, sound
from tests.fuzz.judge import Verdict, judge

Case = tuple[str, int]
SECONDS = 10.0
"""Of a core's time that one file may take."""
_WAITED = 6
"""Times as long that is waited for a process which does nothing, or gets no core."""
MEMORY = 4 * 2**30
"""Bytes that the process may take besides what it has when it begins."""


def _work(cases: Sequence[Case], answers: Connection) -> None:
    torch.set_num_threads(1)
    for name in ("atrous", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    taken = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for case in cases:
        answers.send(judge(*case))


def _address_space() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file on a disk
        return int(file.read().split()[0]) * resource.getpagesize()


def judged(cases: Sequence[Case], *, seconds: float = SECONDS) -> Iterator[Verdict]:
    """Verdicts in order, from a process that is ended and replaced when a file brings it down."""
    context = multiprocessing.get_context("fork")
    while cases:
        answers, other_end = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(cases, other_end), daemon=True)
        worker.start()
        other_end.close()
        fault = "hang"
        try:
            while cases and _answers(worker.pid, answers, seconds):
                verdict: Verdict = answers.recv()
                cases = cases[1:]
                yield verdict
        except EOFError:
            fault = "death"
        finally:
            worker.kill()
            worker.join()
        if cases:
            kind, seed = cases[0]
            yield Verdict(kind, seed, fault, f"the process ended with {worker.exitcode}")
            cases = cases[1:]


def _answers(process: int | None, answers: Connection, seconds: float) -> bool:
    """Whether an answer comes before the process has worked for so long on one file."""
    clock = psutil.Process(process).cpu_times
    begun, end = sum(clock()[:2]), time.monotonic() + _WAITED * seconds
    while not answers.poll(0.5):
        if sum(clock()[:2]) - begun > seconds or time.monotonic() > end:
            return False
    return True


def cases_of(num_files: int, seed: int, kinds: Sequence[str] = tuple(FORMATS)) -> list[Case]:
    """As many files of each format, by seeds that follow each other."""
    each = -(-num_files // len(kinds))
    return [(kind, seed * 1_000_000 + number) for number in range(each) for kind in kinds]


def main() -> int:
    """Read the files; the exit code tells whether there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10_000)
    parser.add_argument("--kind", choices=[*FORMATS], action="append")
    chosen = parser.parse_args()
    kinds = tuple(chosen.kind or FORMATS)
    for kind in kinds:
        sound(kind)
    print(f"seed {chosen.seed}", flush=True)
    counts: Counter[tuple[str, str]] = Counter()
    for verdict in judged(cases_of(chosen.files, chosen.seed, kinds)):
        outcome = verdict.fault or ("refused" if verdict.text else "read")
        counts[verdict.kind, outcome] += 1
        if verdict.fault:
            print(
                f"{verdict.kind} {verdict.seed}: {verdict.fault}: {verdict.text[:300]}", flush=True
            )
    outcomes = ("read", "refused", "traceback", "nonsense", "memory", "hang", "death")
    print(f"{'format':<16}" + "".join(f"{name:>11}" for name in outcomes))
    for kind in kinds:
        print(f"{kind:<16}" + "".join(f"{counts[kind, name]:>11}" for name in outcomes))
    return int(any(name not in ("read", "refused") for _, name in counts))


if __name__ == "__main__":
    sys.exit(main())
