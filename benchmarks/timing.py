"""How we time: warm-up, contestants in turn, medians and quartiles, and what machine it was."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a call took, over all rounds."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""


def time_in_turn(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 20, warm_up: int = 3
) -> dict[str, Timing]:
    """Time calls one after the other, round by round, so that all meet the same noise.

    Args:
        contestants: What to call, by name.
        rounds: How often each is timed.
        warm_up: How often each is called before that, untimed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for call in contestants.values():
        for _ in range(warm_up):
            call()
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    timings = {}
    for name, values in seconds.items():
        low, median, high = statistics.quantiles(values, n=4)
        timings[name] = Timing(median, low, high)
    return timings


def machine() -> str:
    """One line that says where the numbers are from."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
