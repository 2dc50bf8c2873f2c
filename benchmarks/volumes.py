"""Volumes: the predictor against MONAI's sliding window, and the memory that `predict` takes.

python -m benchmarks.volumes SCAN --network espnet3d      seconds, memory, difference to the whole
python -m benchmarks.volumes SCAN --network espnet3d --command 4G 2G   peak of `atrous predict`

SCAN is a folder of four modalities. Weights are random, the classifier scaled so that the network
is as sure as a trained one. Each contestant runs in its own process, one after the other, round by
round; seconds are those of preprocessing and network, without start and reading. The whole is one
forward pass of the network as it is built: nothing folded, nothing cut.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch

from atrous.data.volumes.geometry import Volume
from atrous.data.volumes.scans import list_scans, read_scan, volume_files
from atrous.inference.tiles.grid import STEP
from atrous.inference.tiles.memory import parse_memory
from atrous.inference.volumes.plan import WINDOW
from atrous.inference.volumes.predictor import VolumePredictor, VolumeSettings
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.preprocessing.volumes import prepare_scan
from atrous.networks.weights import load_weights, save_weights

CHANNELS = ("flair", "t1", "t1ce", "t2")
CLASSES = ("background", "one", "two", "three")
CONTESTANTS = ("ours", "ours blended", "MONAI")


def main() -> None:
    """Read the command line, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--network", default="espnet3d")
    parser.add_argument("--memory", default="4G")
    parser.add_argument("--crop", type=int, help="side of the middle that is run; all if left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--command", nargs="+", default=(), help="ceilings of `atrous predict`")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(run(arguments.run, arguments)))
        return
    with tempfile.TemporaryDirectory() as name:
        arguments.folder = Path(name)
        write_weights(arguments)
        for ceiling in arguments.command:
            print(peak_of_command(ceiling, arguments), flush=True)
        if not arguments.command:
            compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Print a line a contestant."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    in_process("whole", arguments)
    for _ in range(arguments.rounds):
        for name in CONTESTANTS:
            results[name].append(in_process(name, arguments))
    for name, rounds in results.items():
        last = rounds[-1]
        seconds, cpu, peak = ([r[key] for r in rounds] for key in ("seconds", "cpu", "peak"))
        ratios = [
            b["seconds"] / a["seconds"] for a, b in zip(rounds, results["MONAI"], strict=True)
        ]
        print(
            f"{arguments.network}, {name} ({last['how']}): {median(seconds):.0f} s "
            f"({min(seconds):.0f} to {max(seconds):.0f}), of the processor {median(cpu):.1f} s, "
            f"{median(ratios):.2f} times as fast as MONAI; peak {max(peak):.2f} GB; to the whole: "
            f"logits {last['logits']:.2g} apart at most, of deviation {last['spread']:.2g}, labels "
            f"{100 * last['labels']:.4f} % apart"
        )


def in_process(what: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run a contestant by itself."""
    crop = ["--crop", str(arguments.crop)] if arguments.crop else []
    command = [
        *(sys.executable, "-m", "benchmarks.volumes", str(arguments.scan), "--run", what),
        *("--folder", str(arguments.folder), "--memory", arguments.memory, *crop),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def run(what: str, arguments: argparse.Namespace) -> dict[str, object]:
    """What a contestant's own process measures."""
    weights = load_weights(arguments.folder / "a.safetensors")
    volume = scan_of(arguments)
    start, cpu_start = perf_counter(), process_time()
    if what.startswith("ours"):
        predictor = VolumePredictor(weights.network, weights.card)
        said = predictor.logits(
            volume,
            VolumeSettings(
                context="blended" if what == "ours blended" else "auto",
                memory=parse_memory(arguments.memory),
            ),
        )
        logits, how = said.logits, f"{said.plan.kind}, {len(said.plan.parts)} parts"
    else:
        facts = weights.card.volume
        assert facts is not None
        x = torch.from_numpy(prepare_scan(volume.array, volume.spacing, facts).image)[None]
        with torch.inference_mode():
            if what == "whole":
                logits, how = weights.network(x)[0], "one pass"
            else:
                logits, how = sliding_window(x, weights.network), "sliding window"
    seconds, cpu = perf_counter() - start, process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    file = arguments.folder / "whole.npy"
    if what == "whole":
        np.save(file, logits.numpy())
        return {"seconds": seconds, "cpu": cpu, "peak": peak}
    whole = torch.from_numpy(np.load(file))
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak,
        "how": how,
        "logits": float((logits - whole).abs().max()),
        "spread": float(whole.std()),
        "labels": float((logits.argmax(0) != whole.argmax(0)).float().mean()),
    }


def sliding_window(x: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """MONAI's, one window at a time, which is the least that it takes."""
    from monai.inferers.utils import sliding_window_inference

    found = sliding_window_inference(
        x, WINDOW, 1, network, overlap=STEP, mode="gaussian", sigma_scale=0.125
    )
    assert isinstance(found, torch.Tensor)
    return found[0]


def scan_of(arguments: argparse.Namespace) -> Volume:
    """The scan, or its middle."""
    volume = read_scan(list_scans(volume_files([arguments.scan]), CHANNELS).scans[0])
    if not arguments.crop:
        return volume
    starts = [(length - arguments.crop) // 2 for length in volume.array.shape[1:]]
    middle = tuple(slice(start, start + arguments.crop) for start in starts)
    array = np.ascontiguousarray(volume.array[(slice(None), *middle)])
    return Volume(array=array, spacing=volume.spacing, geometry=volume.geometry)


def write_weights(arguments: argparse.Namespace) -> None:
    """Random, and logits of deviation 3 about 0 in every class on the middle of the scan."""
    options = {"in_channels": len(CHANNELS), "num_classes": len(CLASSES)}
    card = Card(
        name=f"{arguments.network}.random",
        network=arguments.network,
        arguments=options,
        task="segmentation",
        class_names=CLASSES,
        palette=((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)),
        preprocessing=Preprocessing(mean=(0.0,) * 4, std=(1.0,) * 4),
        volume=VolumeSpec(channel_names=CHANNELS, normalise="z_score", is_inside=True),
    )
    torch.manual_seed(0)
    network = build_network(arguments.network, options).eval()
    assert card.volume is not None
    small = scan_of(argparse.Namespace(scan=arguments.scan, crop=96))
    x = torch.from_numpy(prepare_scan(small.array, small.spacing, card.volume).image)[None]
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv3d)][-1]
    head = next((m for n, m in network.named_modules() if n.endswith("decoder.head")), last)
    assert isinstance(head, torch.nn.Conv3d)
    with torch.no_grad():
        head.weight.mul_(3 / network(x).std((0, 2, 3, 4))[:, None, None, None, None])
    save_weights(arguments.folder / "a.safetensors", network, card)


def peak_of_command(ceiling: str, arguments: argparse.Namespace) -> str:
    """Largest resident size of `atrous predict` on the scan."""
    command = [
        *(sys.executable, "-m", "atrous.cli.main", "predict"),
        *(str(arguments.folder / "a.safetensors"), str(arguments.scan)),
        *("--out", str(arguments.folder / ceiling), "--memory", ceiling),
    ]
    script = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); "
        "sys.exit(code)"
    )
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"{arguments.network} under --memory {ceiling}: {done.stderr}"
    peak = int(done.stderr.split()[-1]) * 1024 / 1e9
    return (
        f"{arguments.network} under --memory {ceiling}: peak {peak:.2f} GB, "
        f"{perf_counter() - start:.0f} s; {done.stdout.strip()}"
    )


if __name__ == "__main__":
    main()
