"""Models that end in pooling, windows or recurrence: how much of the input they really see."""

from random import Random

import torch
from tests.analysis.fuzz.case import DTYPE, Case, Step
from tests.analysis.fuzz.idioms_state import conv
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def classifier(r: Random) -> Case:
    """A mean of all positions: the whole input, and no more than it has."""

    def by_mean(x, body, head):
        return head(body(x).mean((2, 3)))

    def by_pool(x, body, head):
        return head(F.adaptive_max_pool2d(body(x), 1).flatten(1))

    def kept(x, body, head):
        return head(F.adaptive_avg_pool2d(body(x), 1).flatten(1))[:, :, None, None]

    run = r.choice([by_mean, by_pool, kept])
    return Case(
        kind="head: classifier",
        make=lambda: Step(run, nn.Conv2d(3, 6, 3, 2, 1, dtype=DTYPE), nn.Linear(6, 4)),
        counts=True,
    )


def windowed(r: Random) -> Case:
    """Attention inside windows of four by four, with or without a mean of all at the end."""
    ends_in_mean = r.random() < 0.5

    def run(x, q, v):
        b, c, h, w = x.shape
        tokens = [
            m(x).view(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
            for m in (q, v)
        ]
        y = (tokens[0] @ tokens[0].transpose(1, 2)).softmax(-1) @ tokens[1]
        y = y.view(b, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w)
        return y.abs().mean((2, 3)) if ends_in_mean else y

    return Case(
        kind="head: windows",
        make=lambda: Step(run, nn.Conv2d(3, 3, 1, dtype=DTYPE), nn.Conv2d(3, 3, 1, dtype=DTYPE)),
    )


def pyramid(r: Random) -> Case:
    """Pooling to a few bins, resized and joined: whole only if one bin is."""
    bins = r.choice([(2, 4), (1, 2), (2, 3, 6)])

    def run(x, body):
        y = body(x)
        parts = [
            F.interpolate(F.adaptive_avg_pool2d(y, n), size=y.shape[2:], mode="nearest")
            for n in bins
        ]
        return torch.cat([y, *parts], 1)

    return Case(kind="head: pyramid", make=lambda: Step(run, conv()), shapes=((1, 3, 24, 24),))


def recurrent_rows(r: Random) -> Case:
    """A recurrent layer along rows or columns, in one direction or both."""
    both, dim = r.random() < 0.5, r.choice([2, 3])

    def run(x, rnn, mix):
        b, c, h, w = x.shape
        lines = x.movedim(dim, 2).permute(0, 3, 2, 1).reshape(-1, x.shape[dim], c)
        y = rnn(lines)[0]
        other = w if dim == 2 else h
        y = y.view(b, other, x.shape[dim], -1).permute(0, 3, 2, 1)
        return mix(y if dim == 2 else y.transpose(2, 3))

    width = 8 if both else 4
    return Case(
        kind="head: recurrent rows",
        make=lambda: Step(
            run,
            nn.LSTM(3, 4, batch_first=True, bidirectional=both),
            nn.Conv2d(width, 2, 1),
        ),
        shapes=((1, 3, 14, 12),),
    )


def sequences(r: Random) -> Case:
    """Recurrent layers and their final states: everything sees everything."""

    def crnn(x, a, rnn, f):
        _, state = rnn(a(x).mean(2).transpose(1, 2).to(dtype))
        hidden = state[0] if isinstance(state, tuple) else state
        return f(hidden.transpose(0, 1).flatten(1).to(x.dtype))

    def squeezed(x, a, rnn, f):
        _, state = rnn(a(x).mean(2).transpose(1, 2).to(dtype))
        hidden = state[0] if isinstance(state, tuple) else state
        return f(hidden.squeeze(0).to(x.dtype))

    layer = r.choice([nn.LSTM, nn.LSTM, nn.GRU, nn.RNN])
    run, dtype = r.choice([crnn, squeezed]), r.choice([DTYPE, torch.float32])

    def make():
        model = Step(run, conv(), layer(3, 4, batch_first=True), nn.Linear(4, 2))
        model.part1.to(dtype)  # in float32 one kernel runs the whole layer
        return model

    return Case(
        kind="output: final state",
        make=make,
        shapes=((1, 3, 12, 16),),
        scales=True,
    )


def nothing_returned(r: Random) -> Case:
    """The model returns None, or no tensor: there is no output to speak of."""
    value = r.choice([None, "done", {}])

    def run(x, a):
        a(x)
        return value

    return Case(kind="head: nothing returned", make=lambda: Step(run, conv()), may_refuse=True)


def other_width(r: Random) -> Case:
    """A map whose bits are looked at as numbers of another width."""

    def run(x, a):
        bits = a(x).to(torch.float32).view(torch.int16).view(*x.shape[:3], -1, 2)
        return bits[..., 1].to(torch.int32).bitwise_left_shift(16).view(torch.float32).double()

    return Case(kind="head: other width", make=lambda: Step(run, conv()))
