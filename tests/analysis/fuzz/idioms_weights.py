"""Models that ask what their weights are: trainable, parameters, shared, made anew, derived."""

from random import Random

import torch
from tests.analysis.fuzz.case import DTYPE, Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.nn.utils import parametrizations


def trainable_adapter(r: Random) -> Case:
    """A branch that runs while its weights are trainable."""
    is_frozen = r.random() < 0.5

    def make():
        body, adapter = conv(), conv(k=5)
        adapter.requires_grad_(not is_frozen)

        def run(x, a, b):
            y = a(x)
            return y + b(y) if any(p.requires_grad for p in b.parameters()) else y

        return Step(run, body, adapter)

    return Case(kind="weights: requires_grad", make=make, tiles=True, counts=True)


def asks_for_parameters(r: Random) -> Case:
    """Branches on what a weight is."""
    questions = [
        lambda w: isinstance(w, nn.Parameter),
        lambda w: w.is_leaf,
        lambda w: not w.is_meta,
        lambda w: w.grad is None,
        lambda w: w.device.type == "cpu",
    ]
    question = r.choice(questions)

    def make():
        return Step(lambda x, a, b: b(a(x)) if question(a.weight) else a(x), conv(), conv(k=5))

    return Case(kind="weights: what they are", make=make, tiles=True, counts=True)


def shared_in_forward(r: Random) -> Case:
    """A layer made in forward that takes another's weight."""

    def given(x, a):
        other = nn.Conv2d(3, 3, 3, padding=1, dtype=x.dtype)
        other.weight, other.bias = a.weight, a.bias
        return other(a(x))

    def wrapped(x, a):
        weight = nn.Parameter(a.weight.detach() * 2)
        return F.conv2d(a(x), weight, padding=1)

    def by_data(x, a):
        return F.conv2d(a(x), a.weight.data, padding=1)

    def functional(x, a):
        tensors = {k: v * 0.5 for k, v in a.named_parameters()}
        return torch.func.functional_call(a, tensors, (a(x),))

    run = r.choice([given, wrapped, by_data, functional])
    return Case(
        kind="weights: shared in forward",
        make=lambda: Step(run, conv()),
        tiles=True,
        counts=True,
    )


def own_gradient(r: Random) -> Case:
    """A step of gradient descent inside forward: everything sees everything."""

    def run(x, a):
        with torch.enable_grad():
            loss = F.conv2d(x, a.weight, a.bias, padding=1).square().mean()
            (gradient,) = torch.autograd.grad(loss, a.weight)
        return F.conv2d(x, a.weight - 0.1 * gradient, a.bias, padding=1)

    return Case(kind="weights: own gradient", make=lambda: Step(run, conv()), may_refuse=True)


def derived(r: Random) -> Case:
    """Weights that are computed from others at each call."""

    def standard(x, a):
        weight = a.weight - a.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight / (weight.std() + 1), a.bias, padding=1)

    makes = [
        lambda: parametrizations.weight_norm(conv()),
        lambda: Step(standard, conv()),
        lambda: Step(
            lambda x, w: F.conv2d(x, w.view(3, 3, 3, 3), padding=1),
            nn.Parameter(torch.rand(81)),
        ),
        lambda: Step(
            lambda x, a, b: F.conv2d(x, torch.cat([a.weight, b.weight]), padding=1), conv(), conv()
        ),
    ]
    return Case(kind="weights: derived", make=r.choice(makes), tiles=True, counts=True)


def dynamic(r: Random) -> Case:
    """Weights computed from the image: everything sees everything."""

    def run(x, layer):
        weight = layer(x.mean((2, 3))).view(3, 3, 3, 3)
        return F.conv2d(x, weight, padding=1)

    return Case(
        kind="weights: from the image", make=lambda: Step(run, nn.Linear(3, 81, dtype=DTYPE))
    )


def made_at_first_call(r: Random) -> Case:
    """A layer that is made by the first forward pass."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = conv(), None

        def forward(self, x):
            y = self.first(x)
            if self.second is None:
                self.second = nn.Conv2d(3, 5, 3, padding=1, dtype=x.dtype)
            return self.second(y)

    return Case(kind="weights: made at the first call", make=Late, tiles=True)
