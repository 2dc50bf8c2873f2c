"""Seconds to profile a network, against torchinfo, and what memory it takes.

Run: `python -m benchmarks.profiling`. Ours gives MACs, memory and the receptive field of every
layer; torchinfo's summary gives parameters and multiply-adds. Both get torchvision's resnet152.
"""

import subprocess
import sys

import torch
import torchinfo
from torchvision import models

from atrous.analysis import profile
from benchmarks.timing import machine, time_in_turn

MEMORY = """
import resource, sys, torch
from torchvision import models
from atrous.analysis import profile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with torch.device("meta"):
    model = models.get_model(sys.argv[1], weights=None).eval()
cost = profile(model, (224, 224), with_fields=True)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{sys.argv[1]:<10} weights {cost.param_bytes / 1e6:>6.0f} MB   "
      f"peak RSS {after / 1e3:>6.0f} MB, {(after - before) / 1e3:.0f} MB of it for the profile")
"""


def main() -> None:
    model = models.resnet152(weights=None).eval()
    timings = time_in_turn(
        {
            "torchinfo.summary": lambda: torchinfo.summary(model, (1, 3, 224, 224), verbose=0),
            "profile, no fields": lambda: profile(model, (224, 224)),
            "profile, every field": lambda: profile(model, (224, 224), with_fields=True),
        },
        rounds=7,
        warm_up=1,
    )
    baseline = timings["torchinfo.summary"].median
    print(f"resnet152 at 224x224; {machine()}, torch {torch.__version__}")
    for name, timing in timings.items():
        print(
            f"{name:<22}{timing.median * 1e3:>8.0f} ms   quartiles {timing.low * 1e3:.0f} to "
            f"{timing.high * 1e3:.0f}   {baseline / timing.median:.2f}x"
        )
    for name in ("vgg19", "vit_h_14"):
        subprocess.run([sys.executable, "-c", MEMORY, name], check=True)


if __name__ == "__main__":
    main()
