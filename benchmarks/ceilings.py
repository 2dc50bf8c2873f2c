"""Ceilings of memory: what `--memory` asks, what `atrous predict` takes at its peak, and the least.

python -m benchmarks.ceilings MODEL FILE [FILE …] --memory 4G 2G [--option=--tile=256 …]
python -m benchmarks.ceilings --make-volume 512 512 700 FILE    a scan of noise to try it on
python -m benchmarks.ceilings --make-photo 10000 10000 FILE     and a photo

Every run is a process of its own; its peak is the resident set that the system reports of it. The
least that a file can be run under is what the refusal of a small ceiling names; it is run under
that too. One thread, as OMP_NUM_THREADS says.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from atrous._extras import require

_TOO_LITTLE = "100M"
_NAMED = re.compile(r"needs? (?:about )?([\d.]+) GB")


def main() -> None:
    """Read the command line; make a file, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--memory", nargs="*", default=["4G", "2G"])
    parser.add_argument("--option", action="append", default=[], help="handed to predict")
    parser.add_argument("--make-volume", type=int, nargs=3, metavar=("D", "H", "W"))
    parser.add_argument("--make-photo", type=int, nargs=2, metavar=("H", "W"))
    arguments = parser.parse_args()
    if arguments.make_volume:
        make_volume(arguments.files[0], arguments.make_volume)
    elif arguments.make_photo:
        make_photo(arguments.files[0], arguments.make_photo)
    else:
        print("| input | asked | outcome | peak, GB |\n|---|---|---|---|")
        for path in arguments.files:
            for row in rows(arguments.model, path, arguments.memory, arguments.option):
                print("| " + " | ".join(row) + " |", flush=True)


def rows(model: str, path: Path, ceilings: list[str], options: list[str]) -> list[list[str]]:
    """What came of each ceiling, and of the least that the program names."""
    code, said, peak = run(model, path, _TOO_LITTLE, options)
    found = _NAMED.search(said)
    least = [] if found is None else [f"{round(1000 * float(found[1]))}M"]
    table = [[path.name, _TOO_LITTLE, outcome(code, said), f"{peak:.2f}"]]
    for ceiling in [*ceilings, *least]:
        code, said, peak = run(model, path, ceiling, options)
        table.append([path.name, ceiling, outcome(code, said), f"{peak:.2f}"])
    return table


def outcome(code: int, said: str) -> str:
    """In a few words: done, or what was refused."""
    if code == 0:
        return "done"
    lines = [line for line in said.splitlines() if line.startswith("atrous: ")] or [said[-80:]]
    return f"code {code}: {lines[-1].removeprefix('atrous: ')}"


def run(model: str, path: Path, ceiling: str, options: list[str]) -> tuple[int, str, float]:
    """Exit code, what was said, and the peak in GB of one run of `atrous predict`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "atrous", "predict", model, str(path)]
        command += ["--out", f"{folder}/out", "--memory", ceiling, *options]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, usage.ru_maxrss * 1024 / 1e9


def make_volume(path: Path, shape: list[int]) -> None:
    """A CT of noise at 1 mm, `(D, H, W)`, 16 bits."""
    nibabel = require("nibabel", extra="volumes")
    values = np.random.default_rng(0).integers(-1000, 1000, shape, dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), np.eye(4)), path)


def make_photo(path: Path, shape: list[int]) -> None:
    """A photo of blocks of colour, `(H, W)`."""
    from PIL import Image

    height, width = shape
    blocks = np.random.default_rng(0).integers(0, 256, (-(-height // 50), -(-width // 50), 3))
    pixels = blocks.astype(np.uint8).repeat(50, 0).repeat(50, 1)[:height, :width]
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main()
