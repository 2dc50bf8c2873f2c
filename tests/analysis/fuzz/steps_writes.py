"""Steps that write into tensors: slices, masks, indices, and scalars that are tensors."""

from random import Random

import torch
from tests.analysis.fuzz.case import Step
from tests.analysis.fuzz.steps_window import CONV
from torch import nn


def write_local(r: Random, c: int, n: int) -> nn.Module:
    """What is written comes from the neighbourhood."""

    def rows(x, layer):
        y = x.clone()
        y[:, :, 2:-2] = layer(x)[:, :, 2:-2]
        return y

    def channel(x, layer):
        y = x.clone()
        y[:, 0] += layer(x)[:, -1]
        return y

    def through_view(x, layer):
        y = x.clone(memory_format=torch.contiguous_format)
        y.view(x.shape[0], -1).add_(layer(x).flatten(1))
        return y

    def part_by_part(x, layer):
        y = torch.empty_like(x)
        near = layer(x)
        for channel in range(x.shape[1]):
            y[:, channel] = near[:, channel]
        return y

    def copied(x, layer):
        y = torch.zeros_like(x)
        y.copy_(layer(x))
        return y

    def out_argument(x, layer):
        y = torch.empty_like(x)
        torch.add(x, layer(x), out=y)
        return y

    def masked(x, layer):
        y = layer(x)
        return x.masked_scatter(torch.ones_like(x, dtype=torch.bool), y)

    how = [rows, channel, through_view, part_by_part, copied, out_argument, masked]
    return Step(r.choice(how), CONV[n](c, c, 3, padding=1))


def write_everywhere(r: Random, c: int, n: int) -> nn.Module:
    """What is written comes from the whole image."""

    def slice_of_mean(x):
        y = x.clone()
        y[:, 0] = x.mean()
        return y

    def filled(x):
        y = x.clone()
        y[:, -1].fill_(x.amax())
        return y

    def masked_fill(x):
        return x.masked_fill(torch.ones_like(x, dtype=torch.bool), x.mean())

    def index_put(x):
        y = torch.zeros_like(x)
        y[:, torch.tensor([0])] = x.mean()
        return y + x

    def statistics(x):
        found = torch.zeros(x.shape[0], 2, dtype=x.dtype)
        for b in range(x.shape[0]):
            found[b, 0] = x[b].mean()
        return x * (1 + found[:, 0].view(-1, *(1,) * (n + 1)))

    def scattered(x):
        y = torch.zeros_like(x)
        at = torch.zeros_like(x[:, :1], dtype=torch.long)
        return y.scatter(1, at, x.mean().expand(x[:, :1].shape)) + x

    def stepwise(x):
        total = x.new_zeros(())
        for row in x.unbind(2):
            total += row.mean()
        return x + total

    def index_fill(x):
        return x.index_fill(1, torch.tensor([0]), 0.0) + x.clone().index_fill_(
            1, torch.tensor([0]), x.sum()
        )

    def set_by_foreach(x):
        y = [x.clone(), x.clone()]
        torch._foreach_add_(y, [x.mean(), x.amax()])
        return y[0] + y[1]

    how = [
        *[slice_of_mean, filled, masked_fill, index_put, statistics, scattered, stepwise],
        *[index_fill, set_by_foreach],
    ]
    return Step(r.choice(how))


def tensor_counter(r: Random, c: int, n: int) -> nn.Module:
    """Control flow by a scalar tensor whose value is known."""
    times = r.randint(2, 3)

    def while_loop(x, layer):
        step = torch.tensor(0)
        while step < times:
            x = layer(x)
            step += 1
        return x

    def counted(x, layer):
        number = torch.tensor(0)
        for _ in range(times):
            number += 1
        for _ in range(int(number)):
            x = layer(x)
        return x

    def halved(x, layer):
        number = torch.tensor(2.0**times)
        while number.item() > 1:
            number.mul_(0.5)
            x = layer(x)
        return x

    def offset(x, layer):
        at, parts = torch.tensor(0), []
        for _ in range(x.shape[1]):
            parts.append(x[:, at : at + 1])
            at += 1
        return layer(torch.cat(parts[::-1], 1))

    how = [while_loop, counted, halved, offset]
    return Step(r.choice(how), CONV[n](c, c, 3, padding=1))


_OWN_OPS = torch.library.Library("atrous_fuzz", "DEF")
"""Ops of one's own; it must live as long as they are called."""
_OWN_OPS.define("count_and_double(Tensor x, Tensor(a!) calls) -> Tensor")


@torch.library.impl(_OWN_OPS, "count_and_double", "CompositeExplicitAutograd")
def count_and_double(x: torch.Tensor, calls: torch.Tensor) -> torch.Tensor:
    """An op of one's own that writes an argument and returns another tensor."""
    calls.add_(1)
    return x * 2


@torch.library.register_fake("atrous_fuzz::count_and_double", lib=_OWN_OPS)
def _(x: torch.Tensor, calls: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


def loses_thread(r: Random, c: int, n: int) -> nn.Module:
    """Ops that write an argument and also return a tensor."""

    def fake_quantise(x, layer):
        scale, zero = torch.full((1,), 0.05), torch.full((1,), 100, dtype=torch.int32)
        low, high = torch.zeros(1), torch.zeros(1)
        off, on = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
        y = torch.fused_moving_avg_obs_fake_quant(
            layer(x).float(), off, on, low, high, scale, zero, 0.01, 0, 255, 0
        )
        return y.double()

    def counting(x, layer):
        calls = torch.zeros(1)
        doubled = torch.ops.atrous_fuzz.count_and_double(layer(x), calls)
        return layer(doubled) + calls.to(x.dtype)

    return Step(r.choice([fake_quantise, counting]), CONV[n](c, c, 3, padding=1))
