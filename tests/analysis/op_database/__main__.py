"""`python -m tests.analysis.op_database [--write] [NAME …]`: judge ops, count, list faults."""

import argparse
import sys
import warnings
from collections import Counter

import torch
from tests.analysis.op_database import table
from tests.analysis.op_database.samples import names
from tests.analysis.op_database.verdicts import Missing, judge


def main() -> int:
    """Judge the named ops, or all; the exit code tells whether there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.analysis.op_database")
    parser.add_argument("names", nargs="*", help="entries of the database; all if left out")
    parser.add_argument("--write", action="store_true", help="write the table of the page anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts, missing, faults = Counter[str](), set[Missing](), 0
    for name in arguments.names or names():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = judge([name])
        counts.update(result.counts)
        missing |= result.missing
        faults += len(result.faults)
        for fault in result.faults:
            print(fault, flush=True)
    print(f"{faults} faults; " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
    print("\n".join(table.rows(missing)))
    if arguments.write and not arguments.names:
        table.write(missing)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
