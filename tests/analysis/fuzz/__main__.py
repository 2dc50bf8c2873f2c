"""`python -m tests.analysis.fuzz --graphs 10000 --seed 0`: a long run, faults as they come."""

import argparse
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from tests.analysis.fuzz.graphs import draw
from tests.analysis.fuzz.verdicts import Fault, judge


class TooLongError(BaseException):
    """One case takes longer than any of them should; no `except Exception` may swallow it."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Give up on what runs for longer, such as a loop that never ends.

    Raises:
        TooLongError: After so many seconds.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLongError(f"{seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    # Again each second: an exception inside a callback of the garbage collector would be lost.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def faults_of(seed: int, seconds: int) -> tuple[str, list[Fault]]:
    """Kind of a seed's case, and what is said wrongly of it."""
    case = draw(seed)
    try:
        with at_most(seconds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.kind, judge(case)
    except TooLongError:
        return case.kind, [Fault("endless", f"nothing within {seconds} s", "an answer")]


def main() -> int:
    """Judge one graph for each seed; the exit code tells whether there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.analysis.fuzz", description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000, help="how many; one seed each")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=int, default=60, help="after which a graph is given up")
    parser.add_argument("--every", type=int, default=500, help="graphs between lines of progress")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begin, sorts, wrong = time.monotonic(), Counter[str](), 0
    for done in range(arguments.graphs):
        seed = arguments.seed + done
        kind, faults = faults_of(seed, arguments.seconds)
        wrong += bool(faults)
        sorts.update(fault.sort for fault in faults)
        for fault in faults:
            print(f"seed {seed} [{kind}] {fault}", flush=True)
        if (done + 1) % arguments.every == 0:
            spent = time.monotonic() - begin
            print(f"{done + 1} graphs, {wrong} with faults, {spent:.0f} s", flush=True)
    print(f"seeds {arguments.seed} to {arguments.seed + arguments.graphs - 1}: {wrong} with faults")
    print(", ".join(f"{sort} {count}" for sort, count in sorts.most_common()) or "no faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
