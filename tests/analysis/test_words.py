"""What the analysis says when it cannot say more: one line, of the right cause."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, latency, profile, receptive_field
from atrous.errors import AtrousError, ShapeError


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # noqa: ARG004 - as torch calls it
        return torch.from_numpy(x.detach().numpy() * 2)


def raises(error):
    def forward(_, __):
        raise error

    return forward


CAUSES = {
    "numpy": (lambda _, x: Twice.apply(x), "turns a tensor into numpy"),
    "numpy shape": (lambda _, x: x * float(x.numpy().shape[1]), "turns a tensor into numpy"),
    "condition": (
        lambda _, x: torch.cond(x.sum() > 0, lambda t: t * 2, lambda t: t + 1, (x,)),
        "hands functions to torch's cond",
    ),
    "not written": (raises(NotImplementedError("todo: decoder")), "NotImplementedError: todo"),
    "key": (raises(KeyError("nope")), "KeyError: 'nope'"),
    "state": (raises(RuntimeError("call build first")), "RuntimeError: call build first"),
    "mode": (raises(AssertionError("targets are missing")), "AssertionError: targets are missing"),
}


@pytest.mark.parametrize("name", CAUSES)
@pytest.mark.filterwarnings("ignore")
def test_the_size_is_blamed_for_nothing_else(name, net):
    forward, message = CAUSES[name]
    for ask in (profile, receptive_field, halo):
        with pytest.raises(AtrousError, match=message) as caught:
            ask(net(forward), (8, 8), in_channels=3)
        assert not isinstance(caught.value, ShapeError)
        text = str(caught.value)
        assert "\n" not in text
        assert "0x" not in text
        assert "Check the size" not in text


def asserts(x):
    assert x.shape[2] % 32 == 0


SIZES = {
    "assertion without words": asserts,
    "channels": lambda x: F.conv2d(x, torch.ones(1, 4, 3, 3)),
    "too small": lambda x: F.conv2d(x, torch.ones(1, 3, 13, 13)),
    "not divisible": lambda x: x.view(1, 3, 3, -1, 8),
    "join": lambda x: torch.cat([x, x[..., 1:]], 1),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_size_is_blamed_for_what_is_about_sizes(name, net):
    with pytest.raises(ShapeError, match="does not take an input of 1x3x8x8"):
        profile(net(lambda _, x: SIZES[name](x)), (8, 8), in_channels=3)


def test_a_model_without_forward_is_said():
    for ask in (profile, receptive_field, halo):
        with pytest.raises(AtrousError, match="has no `forward`"):
            ask(nn.ModuleList([nn.Conv2d(3, 3, 3)]), (8, 8))


def marked(self, x):
    with torch.profiler.record_function("stem"):
        return self.conv(x)


def losses(self, x):
    y = self.conv(x)
    target = torch.zeros(1, *x.shape[2:], dtype=torch.long)
    return {
        "out": y,
        "loss": F.mse_loss(y, x)
        + F.smooth_l1_loss(y, x)
        + F.huber_loss(y, x)
        + F.l1_loss(y, x)
        + F.cross_entropy(y, target)
        + F.binary_cross_entropy_with_logits(y, x),
    }


def lists_of_tensors(self, x):
    return sum(torch._foreach_mul([self.conv(x), x], 2.0))


@pytest.mark.parametrize("forward", [marked, losses, lists_of_tensors])
def test_what_multiplies_nothing_leaves_the_count_whole(forward, net, conv):
    cost = profile(net(forward, conv=conv()), (16, 16))
    assert (cost.macs, cost.counted) == (16 * 16 * 3 * 3 * 9, "all")


def test_weight_norm_leaves_the_count_whole(conv):
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()))
    cost = profile(model, (16, 16))
    assert (cost.macs, cost.counted) == (16 * 16 * 3 * 3 * 9, "all")
    assert receptive_field(model, (16, 16)).is_exact


BAD_WORDS = [
    {"precision": "fp8"},
    {"layout": "zzz"},
    {"num_runs": 2.5},
    {"num_runs": True},
    {"num_warmups": "3"},
    {"num_threads": 1.0},
]


@pytest.mark.parametrize("words", BAD_WORDS)
def test_settings_of_latency_are_checked(words, conv):
    with pytest.raises(AtrousError, match=next(iter(words))):
        latency(conv(), (8, 8), **words)


def test_the_mode_is_checked_and_said(conv):
    model = nn.Sequential(conv(), nn.BatchNorm2d(3)).train()
    seen = receptive_field(model, (8, 8))
    assert (seen.mode, seen.field.size) == ("eval", (3, 3))
    assert model[1].training
    seen = receptive_field(model, (8, 8), mode="as is")
    assert (seen.mode, seen.field.size) == ("train", (8, 8))
    assert not halo(model, (8, 8), mode="as is").is_finite
    assert halo(model, (8, 8)).pixels == (1, 1)
    with pytest.raises(AtrousError, match="`mode` is 'training'"):
        receptive_field(model, (8, 8), mode="training")


def test_a_size_of_astronomic_length_is_refused(conv):
    for size in ((10**12, 10**12), (10**30, 8)):
        with pytest.raises(ShapeError, match="whole number"):
            profile(conv(), size)


@pytest.mark.filterwarnings("ignore")
def test_weights_packed_for_integers_are_counted_and_bounded(conv):
    model = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(conv(), nn.Flatten(), nn.Linear(192, 10)), {nn.Linear}, dtype=torch.qint8
    )
    cost = profile(model, (8, 8))
    assert (cost.macs, cost.counted) == (64 * 3 * 3 * 9 + 192 * 10, "all")
    assert receptive_field(model, (8, 8)).field.size == (8, 8)


class Asks(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run, self.conv = run, nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3, momentum=None)

    def forward(self, x):
        return self.run(self, x)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda m, x: m.conv.double()(x.double()), "moves a layer to another type or device"),
        (lambda _, x: nn.Conv2d(3, 3, 1).to(x.device)(x), "moves a layer to another type"),
        (lambda m, x: m.norm.train()(x), r"'norm' \(BatchNorm2d\) \(test_words.py:\d+\) .* reads"),
        (lambda _, x: x * torch.cov(x[0].flatten(1)).mean(), "asks whether two tensors are equal"),
        (lambda _, x: x[:, torch.tensor([True, False, True])], "asks where a tensor is true"),
        (lambda m, x: x if x.sum() > 0 else m.conv(x), "reads the number in a tensor"),
        (lambda _, x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), "hands functions to"),
    ],
)
def test_what_needs_numbers_is_named_by_what_it_does_and_its_line(run, words):
    with pytest.raises(AtrousError, match=words) as caught:
        receptive_field(Asks(run), (16, 16))
    assert "test_words.py" in str(caught.value) or "hands functions" in words
    assert "aten" not in str(caught.value)
