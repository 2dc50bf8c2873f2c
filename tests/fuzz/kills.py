"""`python -m tests.fuzz.kills --kills 250 --seed 0`: commands killed at any time end as if not.

One process imports everything and is forked for every command, so that the time until the kill is
time of the work. Each command runs twice whole; then, killed once or twice and run to its end, it
must leave the same files with the same bytes. Of files that say when something was done, only those
numbers are passed over.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from atrous.cli.main import main as command_line
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import save_weights

MINUTES = 5
"""That a command may take; then it hangs."""
OF_TIME = {"seconds", "images_per_second", "started", "ended", "time", "date", "minutes"}
"""Keys of records that hold times."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
RECIPE = """
name = "espnet.shapes"
network = "espnet"
network_arguments = { p = 1, q = 1 }
layout = "mask_folder"
data = "DATA"
train_split = "train"
val_split = "val"
num_classes = 4
size = [32, 48]
epochs = 6
batch_size = 4
learning_rate = 1e-3
num_threads = 1
ema = 0.9
checkpoint_minutes = 0.001
"""


@dataclass(frozen=True)
class Verb:
    """A command, of which `OUT` stands for the folder that it writes.

    Attributes:
        name: Of the kind of work.
        arguments: Of the command.
        refuses_done: Whether it writes into no folder where it has come to its end.
    """

    name: str
    arguments: Sequence[str]
    refuses_done: bool = False

    def run(self, out: Path, *, kill: Callable[[], tuple[float, int]] | None = None) -> int:
        """The status of a child that ran it, or was killed at some time.

        Args:
            out: Where it writes.
            kill: Gives the seconds after which the child gets a signal, and which.
        """
        child = os.fork()
        if child == 0:
            self._become(out)
        after, number = (60.0 * MINUTES, signal.SIGKILL) if kill is None else kill()
        end = time.monotonic() + after
        while time.monotonic() < end:
            process, status = os.waitpid(child, os.WNOHANG)
            if process:
                return status
            time.sleep(0.002)
        os.kill(child, number)
        return os.waitpid(child, 0)[1]

    def _become(self, out: Path) -> None:
        """Run as the command does, and end."""
        sys.argv = ["atrous", *(argument.replace("OUT", str(out)) for argument in self.arguments)]
        out.mkdir(parents=True, exist_ok=True)
        log = os.open(out.parent / f"{out.name}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = 0
        try:
            command_line()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            print(f"Traceback: {error!r}", file=sys.stderr)
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def content(folder: Path) -> Mapping[str, bytes]:
    """The files of a folder, times left out."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".pt":  # a checkpoint knows how long it took; its weights stand beside it
            continue
        data = path.read_bytes().replace(str(folder).encode(), b"OUT")
        if path.suffix in {".json", ".jsonl"}:
            lines = [_timeless_line(line) for line in data.splitlines()]
            # Photos are noted as they are done, which is in no order.
            data = b"\n".join(sorted(lines) if path.name == "inputs.jsonl" else lines)
        found[str(path.relative_to(folder))] = data
    return found


def _timeless_line(line: bytes) -> bytes:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:  # of a record over several lines, or with a checksum before it
        return b"" if any(f'"{key}":'.encode() in line for key in OF_TIME) else line
    return json.dumps(_timeless(record)).encode()


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in OF_TIME}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def verbs(folder: Path) -> list[Verb]:
    """What is killed, and the data for it."""
    _run("synthesize", "shapes", folder / "data/train", "--num-images", "16")
    _run("synthesize", "shapes", folder / "data/val", "--num-images", "6", "--seed", "1")
    _run("synthesize", "slides", folder / "slides", "--num-images", "1", "--size", "1024x1024")
    _save(folder / "shapes.safetensors", num_classes=4)
    _save(folder / "tissue.safetensors", num_classes=8, mpp=1.0)
    (folder / "recipe.toml").write_text(RECIPE.replace("DATA", str(folder / "data")))
    slide = next((folder / "slides").rglob("*.tif*"))
    images = folder / "data/train/images"
    known = ("--layout", "mask_folder", "--split", "train", "--html", "OUT/page.html")
    found = [
        Verb("photos", ("predict", f"{folder}/shapes.safetensors", str(images), "--out", "OUT")),
        Verb("train", ("train", f"{folder}/recipe.toml", "--out", "OUT", "--device", "cpu")),
        Verb(
            "slide",
            ("predict", f"{folder}/tissue.safetensors", str(slide), "--out", "OUT"),
        ),
        Verb("evaluate", ("evaluate", f"{folder}/shapes.safetensors", f"{folder}/data", *known)),
        Verb("synthesize", ("synthesize", "tissue", "OUT", "--num-images", "12"), True),
    ]
    scans = _scans(folder / "scans")
    if scans:
        found.append(Verb("volumes", ("predict", "hippocampus", str(scans), "--out", "OUT")))
    return found


def _run(*arguments: str | Path) -> None:
    status = Verb("set-up", [str(each) for each in arguments]).run(Path(str(arguments[2])))
    if status:
        raise SystemExit(f"{arguments}: status {status}")


def _save(path: Path, *, num_classes: int, mpp: float | None = None) -> None:
    torch.manual_seed(0)
    arguments = {"num_classes": num_classes, "p": 1, "q": 1}
    card = Card(
        name="espnet.random",
        network="espnet",
        arguments=arguments,
        task="segmentation",
        class_names=tuple(f"class {index}" for index in range(num_classes)),
        palette=tuple((30 * index, 0, 200) for index in range(num_classes)),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
        mpp=mpp,
    )
    save_weights(path, build_network("espnet", arguments), card)


def _scans(folder: Path) -> Path | None:
    try:
        import nibabel
    except ImportError:
        return None
    folder.mkdir()
    for index in range(3):
        numbers = np.random.default_rng(index).normal(100, 20, (36, 48, 34)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(numbers, np.eye(4)), folder / f"scan_{index}.nii.gz")
    return folder


def kills_of(verb: Verb, folder: Path, count: int, rng: random.Random) -> list[str]:
    """What was found wrong over some kills of a command."""
    whole = folder / f"{verb.name}-whole"
    started = time.monotonic()
    if status := verb.run(whole):
        return [f"whole: status {status}"]
    took = time.monotonic() - started
    expected = content(whole)
    again = folder / f"{verb.name}-again"
    verb.run(again)
    if content(again) != expected:
        return [f"two whole runs differ: {_difference(expected, content(again))}"]
    faults = []
    for number in range(count):
        out = folder / f"{verb.name}-{number}"
        ends = [
            verb.run(out, kill=lambda: (rng.uniform(0, took), rng.choice(SIGNALS)))
            for _ in range(rng.choice([1, 1, 2]))
        ]
        is_done = verb.refuses_done and 0 in ends
        if not is_done and (status := verb.run(out)):
            log = (out.parent / f"{out.name}.log").read_text(errors="replace")
            faults.append(f"kill {number}: status {status}: {log[-300:]}")
        elif found := _difference(expected, content(out)):
            faults.append(f"kill {number}: {found}")
    return faults


def _difference(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> str:
    names = sorted(expected.keys() | found.keys())
    return ", ".join(name for name in names if expected.get(name) != found.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbs", nargs="+", help="only these, by name")
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        known = [
            verb
            for verb in verbs(Path(folder))
            if options.verbs is None or verb.name in options.verbs
        ]
        for index, verb in enumerate(known):
            count = options.kills // len(known) + (index < options.kills % len(known))
            found = kills_of(verb, Path(folder), count, rng)
            counts[verb.name] = count
            faults += [f"{verb.name}: {fault}" for fault in found]
            print(f"{verb.name}: {count} kills, {len(found)} faults", *found, sep="\n", flush=True)
    print(f"{sum(counts.values())} kills, {len(faults)} faults, seed {options.seed}")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
