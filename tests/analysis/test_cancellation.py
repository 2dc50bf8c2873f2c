# ruff: noqa: ARG001, ARG005 - all steps take the same arguments
"""Where numbers cancel by construction, a field is the most that is read; elsewhere it is exact."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, reasons, receptive_field
from atrous.analysis.profile import profile


class Net(nn.Module):
    """Three layers to make a function of: of 3, of 7, and of 3 to one channel."""

    def __init__(self, run):
        super().__init__()
        self.a = nn.Conv2d(2, 2, 3, padding=1)
        self.b = nn.Conv2d(2, 2, 7, padding=3)
        self.scale = nn.Parameter(torch.rand(2, 1, 1))
        self.v, self.w = (nn.Parameter(torch.rand(2, 2, 3, 3)) for _ in range(2))
        self.one = nn.Conv2d(2, 1, 3, padding=1)
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def integral(m, x):
    sums = F.pad(F.pad(x, (2, 2)).cumsum(-1), (1, 0))
    return sums[..., 5:] - sums[..., :-5]


def laplacian(m, x):
    taps = torch.tensor([[0, 1.0, 0], [1, -4, 1], [0, 1, 0]], dtype=x.dtype).expand(2, 1, 3, 3)
    return F.conv2d(x - x.mean((2, 3), keepdim=True), taps, groups=2)


def written(m, x):
    y = m.b(x)
    z = y + m.a(x)
    z -= y
    return z


def pooled(m, x):
    return x + m.scale * (F.avg_pool2d(x, 3, 1, 1) - x)


CANCELLING = {
    "a map less itself": lambda m, x: m.a(x) + (m.b(x) - m.b(x)),
    "one of two summands": lambda m, x: (m.a(x) + m.b(x)) - m.b(x),
    "negated": lambda m, x: m.a(x) + m.b(x) + -m.b(x),
    "scaled": lambda m, x: m.a(x) + 0.5 * m.b(x) + 0.5 * m.b(x) - m.b(x),
    "by alpha": lambda m, x: torch.add(m.b(x) + m.a(x), m.b(x), alpha=-1),
    "in views": lambda m, x: (m.a(x) + m.b(x)).flatten(2).view(x.shape) - m.b(x),
    "in turned views": lambda m, x: (m.a(x) + m.b(x)).mT.movedim(1, -1).movedim(-1, 1).mT - m.b(x),
    "detached": lambda m, x: m.a(x) + m.b(x) - m.b(x).detach().clone(),
    "through a linear layer": lambda m, x: m.one(m.a(x) + m.b(x)) - m.one(m.b(x)),
    "written in place": written,
    "a quotient": lambda m, x: m.a(x) * (m.b(x) / m.b(x)),
    "one less a gate, and the gate": lambda m, x: (
        m.a(x) + (1 - m.b(x).sigmoid() + m.b(x).sigmoid())
    ),
    "a deviation from itself": lambda m, x: m.a(x) + m.one(x) - m.one(x).mean(1, keepdim=True),
    "itself, squeezed": lambda m, x: m.a(x) + m.one(x) - m.one(x).sum(1)[:, None],
    "either of one": lambda m, x: m.a(x) + torch.where(m.b(x) > 0, m.a(x), m.a(x)),
    "the larger of one": lambda m, x: m.a(x) + torch.maximum(m.b(x), m.b(x)) - m.b(x),
    "running sums": integral,
    "pooled maps": lambda m, x: F.avg_pool2d(x, 5, 1, 2) - F.avg_pool2d(x, 3, 1, 1),
    "a fixed filter of deviations": laplacian,
    "softmax over one channel": lambda m, x: m.a(x) * m.one(x).softmax(1),
    "a norm of one channel": lambda m, x: F.layer_norm(m.one(x).movedim(1, -1), (1,)),
    "there and back": lambda m, x: torch.fft.irfft2(torch.fft.rfft2(m.a(x)), s=x.shape[-2:]),
}

GENERAL = {
    "a residual": (lambda m, x: x + m.a(x), 3),
    "noise that is taken off": (lambda m, x: x - m.b(x), 7),
    "two filters": (lambda m, x: m.b(x) - m.a(x), 7),
    "a local mean": (lambda m, x: F.avg_pool2d(x, 3, 1, 1) - x, 3),
    "pools on pools": (lambda m, x: F.avg_pool2d(pooled(m, x), 3, 1, 1) - pooled(m, x), 5),
    "neighbours": (lambda m, x: m.a(x)[..., 1:] - m.a(x)[..., :-1], (3, 4)),
    "twice, less once": (lambda m, x: 2 * m.b(x) - m.b(x), 7),
    "all pairs": (lambda m, x: (m.b(x)[:, :, None] - m.b(x)[:, None]).abs().amax(2), 7),
    "weights of one shape": (lambda m, x: F.conv2d(x, 2 * m.v) - F.conv2d(x, 2 * m.w), 3),
    "a layer made on the way": (lambda m, x: nn.Conv2d(2, 2, 3)(x) - nn.Conv2d(2, 2, 3)(x), 3),
    "a gate": (lambda m, x: m.a(x).sigmoid() * x + (1 - m.a(x).sigmoid()) * m.b(x), 7),
    "deviations from the channels": (lambda m, x: m.a(x) - m.a(x).mean(1, keepdim=True), 3),
    "softmax over two channels": (lambda m, x: m.a(x).softmax(1), 3),
    "a distance": (lambda m, x: (m.a(x) - m.b(x)).abs() / (m.a(x) + m.b(x)), 7),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_what_cancels_makes_the_field_the_most_that_is_read(name):
    seen = receptive_field(Net(CANCELLING[name]), (32, 32))
    assert not seen.is_exact
    assert seen.bound == "at most"
    assert "cancels" in {note.kind for note in seen.notes}


@pytest.mark.parametrize("name", GENERAL)
def test_what_does_not_cancel_by_construction_is_exact(name):
    run, size = GENERAL[name]
    seen = receptive_field(Net(run), (32, 32))
    assert seen.is_exact
    assert seen.field.size == (size if isinstance(size, tuple) else (size, size))


def test_the_reason_names_the_op_and_layers_have_the_same_fields():
    net = nn.Sequential(Net(CANCELLING["a map less itself"]), nn.Conv2d(2, 2, 3, padding=1))
    seen, need = receptive_field(net, (32, 32)), halo(net, (32, 32))
    cost = profile(net, (32, 32), with_fields=True)
    assert any(line.startswith("field a bound: sub in 0") for line in reasons(seen, need, cost))
    assert need.is_finite
    assert cost.layer_fields["1"].size == seen.field.size == (9, 9)


@pytest.mark.parametrize(
    ("run", "bound"),
    [
        (lambda m, x: F.relu(F.logsigmoid(m.a(x))), "at most"),
        (lambda m, x: F.logsigmoid(m.a(x)).clone().relu_(), "at most"),
        (lambda m, x: F.relu(-F.relu(m.a(x))), "at most"),
        (lambda m, x: F.relu(-F.max_pool2d(m.a(x).abs(), 2)), "at most"),
        (lambda m, x: F.relu(F.relu(m.a(x))), "exact"),
        (lambda m, x: F.relu6(F.relu(m.a(x))), "exact"),
        (lambda m, x: F.relu(-m.a(x)), "exact"),
        (lambda m, x: F.relu(m.b(F.logsigmoid(m.a(x)))), "exact"),
    ],
)
def test_a_rectifier_leaves_nothing_of_what_is_never_positive(run, bound):
    assert receptive_field(Net(run), (32, 32)).bound == bound
