"""Images per second of our inference path, against the same network run plainly.

Run: `python -m benchmarks.inference [--keep-freed-memory] [--json FILE]`.

The network is ESPNet (p=2, q=8, 12 classes) at 360x480 with random weights. Baseline:
eager, contiguous, float32, batch norm not folded.
"""

import json
import sys
from pathlib import Path

import torch

from atrous.inference import Predictor
from atrous.networks.card import Card
from atrous.networks.label_sets import CAMVID
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.segmenters.espnet import espnet
from atrous.pipelines.allocator import keep_freed_memory
from benchmarks.timing import machine, time_in_turn

SIZE = (360, 480)


def main() -> None:
    if "--keep-freed-memory" in sys.argv:  # as the commands do; see its docstring
        keep_freed_memory()
    torch.manual_seed(0)
    network = espnet(num_classes=12).eval()
    card = Card(
        name="espnet.random",
        network="espnet",
        arguments={"num_classes": 12},
        task="segmentation",
        class_names=CAMVID.names,
        palette=CAMVID.palette,
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )
    predictor = Predictor(network, card)
    images = torch.randint(0, 256, (4, *SIZE, 3), dtype=torch.uint8).numpy()
    x = torch.randn(1, 3, *SIZE)
    fast_x = x.contiguous(memory_format=torch.channels_last)

    with torch.inference_mode():
        timings = time_in_turn(
            {
                "plain eager, contiguous": lambda: network(x),
                "our network, folded": lambda: predictor.fast_network(fast_x),
                "our whole path, 8-bit image to mask": lambda: predictor.predict(images[0]),
                "our whole path, batch of 4": lambda: predictor.predict_batch(list(images)),
            }
        )
    baseline = timings["plain eager, contiguous"].median
    print(f"ESPNet at {SIZE[0]}x{SIZE[1]}; {machine()}, torch {torch.__version__}")
    print(f"{'':<38}{'ms':>8}{'quartiles':>18}{'images/s':>11}{'ratio':>8}")
    rows = []
    for name, timing in timings.items():
        count = 4 if name.endswith("batch of 4") else 1
        median = timing.median / count
        rows.append({"name": name, "seconds": median, "ratio": baseline / median})
        quartiles = f"{timing.low / count * 1e3:.1f} to {timing.high / count * 1e3:.1f}"
        print(
            f"{name:<38}{median * 1e3:>8.1f}{quartiles:>18}{1 / median:>11.1f}"
            f"{baseline / median:>7.2f}x"
        )
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
