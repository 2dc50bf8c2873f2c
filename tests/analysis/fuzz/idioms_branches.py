"""Models that are another network at another size, batch or mode."""

from random import Random

import torch
from tests.analysis.fuzz.case import DTYPE, Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def by_size(r: Random) -> Case:
    """Another path for larger images."""
    limit = r.choice([40, 60])

    def run(x, a, b):
        y = a(x)
        return b(b(y)) if x.shape[2] > limit else y

    def by_area(x, a, b):
        y = a(x)
        return F.avg_pool2d(y, 9, 1, 4) if y[0, 0].numel() > limit * limit else y

    def shrinks(x, a, b):
        y = a(x)
        while y.shape[-1] > limit:
            y = F.avg_pool2d(b(y), 2)
        return y

    how = r.choice([run, by_area, shrinks])
    return Case(kind="branch: on the size", make=lambda: Step(how, conv(), conv(k=5)), scales=False)


def view_minus_one(r: Random) -> Case:
    """A batch dimension that takes what the features leave.

    Of 16 samples twice as long, 363 features each, it makes 121 rows of 48: samples are mixed.
    """
    batch, hidden = r.choice([16, 16, 1]), 3 * 4 * 4

    def run(x, a, b, f):
        y = F.max_pool2d(b(F.max_pool2d(a(x), 2)), 2)
        return f(y.view(-1, hidden))

    return Case(
        kind="branch: view(-1, K)",
        make=lambda: Step(run, nn.Conv2d(3, 3, 5), nn.Conv2d(3, 3, 5), nn.Linear(hidden, 5)),
        shapes=((batch, 3, 28, 28),),
        scales=False,
        counts=True,
    )


def fixed_size(r: Random) -> Case:
    """Flattened maps and learned tables take one size only."""

    def flattened(x, a, f):
        return f(a(x).flatten(1))

    def table(x, a, t):
        return a(x) + t

    make = r.choice(
        [
            lambda: Step(flattened, conv(), nn.Linear(3 * 24 * 24, 5)),
            lambda: Step(table, conv(), nn.Parameter(torch.rand(1, 3, 24, 24))),
        ]
    )
    return Case(
        kind="branch: one size only", make=make, shapes=((1, 3, 24, 24),), scales=False, counts=True
    )


def by_batch(r: Random) -> Case:
    """Samples that meet, or another path for a single one."""

    def alone(x, a, b):
        return a(x) if len(x) == 1 else b(x)

    def mean_of_batch(x, a, b):
        return a(x) - b(x).mean(0, keepdim=True)

    run = r.choice([alone, mean_of_batch])
    return Case(
        kind="branch: on the batch",
        make=lambda: Step(run, conv(), conv(k=5)),
        shapes=((r.choice([1, 2]), 3, 24, 20),),
        counts=True,
    )


def by_mode(r: Random) -> Case:
    """Layers that do other things in training."""

    class Modal(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(), conv(k=5)

        def forward(self, x):
            return self.b(self.a(x)) if self.training else self.a(x)

    training = r.random() < 0.5
    return Case(kind="branch: on the mode", make=lambda: Modal().train(training), tiles=True)


def in_training(r: Random) -> Case:
    """Layers of chance and of batch statistics, in training."""
    layer = r.choice(
        [
            lambda: nn.BatchNorm2d(3, dtype=DTYPE),
            lambda: nn.Dropout(0.5),
            lambda: nn.Dropout2d(0.5),
            lambda: nn.BatchNorm2d(3, track_running_stats=False, dtype=DTYPE),
        ]
    )
    return Case(
        kind="branch: training", make=lambda: nn.Sequential(conv(), layer(), conv()).train()
    )


def after_failure(r: Random) -> Case:
    """A part that is tried, and another taken if it does not fit."""

    def run(x, a, f, b):
        try:
            return a(x) + f(x.flatten(1)).view(-1, 1, 1, 1)
        except RuntimeError:
            return b(a(x))

    return Case(
        kind="branch: after a failure",
        make=lambda: Step(run, conv(), nn.Linear(3 * 24 * 24, 1), conv()),
        shapes=((1, 3, 24, 24),),
        scales=False,
    )
