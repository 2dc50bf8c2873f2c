"""Seconds until `atrous --help` has answered, against an empty Python.

Run: `python -m benchmarks.startup`.
"""

import subprocess
import sys
from functools import partial

from benchmarks.timing import machine, time_in_turn


def main() -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "atrous --help": [sys.executable, "-m", "atrous.cli.main", "--help"],
        "atrous explain": [
            *(sys.executable, "-m", "atrous.cli.main"),
            *("explain", "Conv2d(12, 24, 3)"),
        ],
    }
    timings = time_in_turn(
        {
            name: partial(subprocess.run, command, capture_output=True, check=True)
            for name, command in commands.items()
        },
        rounds=9,
        warm_up=1,
    )
    print(f"start-up; {machine()}")
    for name, timing in timings.items():
        print(
            f"{name:<20}{timing.median * 1e3:>7.0f} ms   "
            f"quartiles {timing.low * 1e3:.0f} to {timing.high * 1e3:.0f}"
        )


if __name__ == "__main__":
    main()
