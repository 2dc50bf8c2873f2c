"""Models that keep things: in dicts, lists, helpers, classes and memos; counters and caches."""

import functools
from collections import deque
from random import Random
from types import SimpleNamespace

import torch
from tests.analysis.fuzz.case import DTYPE, Case
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


def conv(i: int = 3, o: int = 3, k: int = 3) -> nn.Conv2d:
    return nn.Conv2d(i, o, k, padding=k // 2, dtype=DTYPE)


class Keeper(nn.Module):
    """Two convolutions, and a way to keep something at each call."""

    def __init__(self, keep, **things):
        super().__init__()
        self.a, self.b, self.keep = conv(), conv(), keep
        for name, value in things.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.keep(self, x, self.b(self.a(x)))


def _count_in_dict(self, x, y):
    self.state["n"] += 1
    return y + self.state["n"]


def _count_in_tuple(self, x, y):
    self.state[0][0].add_(1)
    return y + self.state[0][0]


def _last_map(self, x, y):
    before, self.state = self.state, y.detach()
    return y if before is None or before.shape != y.shape else y + F.avg_pool2d(before, 9, 1, 4)


def _helper(self, x, y):
    self.state.map = y if self.state.map is None else self.state.map[..., :1, :1] + y
    return self.state.map


def _nested_list(self, x, y):
    self.state["seen"].append(y)
    return y


def _deque(self, x, y):
    self.state.append(y)
    return y


def _class_attribute(self, x, y):
    type(self).maps.append(y)
    return y


def _running_mean(self, x, y):
    self.mean.mul_(0.9).add_(0.1 * y.mean((0, 2, 3)).detach())
    return y - self.mean.view(1, -1, 1, 1)


def _rebinds_buffer(self, x, y):
    self.mean = 0.5 * self.mean + 0.5 * y.mean((0, 2, 3)).detach()
    return y


def _cache_by_size(self, x, y):
    key = tuple(x.shape[2:])
    if key not in self.state:
        self.state[key] = torch.ones(1, 1, *key, dtype=x.dtype)
    return y * self.state[key]


def _new_attribute(self, x, y):
    self.fresh = y.detach()
    self.calls = getattr(self, "calls", 0) + 1
    return y


def _plain_module(self, x, y):
    return self.state["layers"][0](y)


def _set_of_names(self, x, y):
    self.state.add(f"{len(self.state)} of {tuple(x.shape)}")
    return y


class Box:
    """A plain object that holds a tensor and a module."""

    def __init__(self):
        self.scale = torch.ones(1, dtype=DTYPE)
        self.layer = conv(k=5)


def _plain_object(self, x, y):
    self.state.scale *= 1.5
    return self.state.layer(y) * self.state.scale


def _with_class_attribute() -> nn.Module:
    class Remembering(Keeper):
        maps: list = []  # noqa: RUF012 - shared by intent: that is the idiom

    return Remembering(_class_attribute)


def _with_memo() -> nn.Module:
    @functools.cache
    def grid(height, width):
        return torch.ones(1, 1, height, width, dtype=DTYPE)

    return Keeper(lambda self, x, y: y * grid(*x.shape[2:]))


def _with_buffer(keep) -> nn.Module:
    model = Keeper(keep)
    model.register_buffer("mean", torch.zeros(3, dtype=DTYPE))
    return model


def state_tensor(r: Random) -> Case:
    """Tensors in containers that a forward pass changes."""
    make = r.choice(
        [
            lambda: Keeper(_count_in_dict, state={"n": torch.zeros(1, dtype=DTYPE)}),
            lambda: Keeper(_count_in_tuple, state=([torch.zeros(1, dtype=DTYPE)], "n")),
            lambda: Keeper(_plain_object, state=Box()),
            lambda: _with_buffer(_running_mean),
            lambda: _with_buffer(_rebinds_buffer),
        ]
    )
    return Case(kind="state: tensor in a container", make=make)


def state_map(r: Random) -> Case:
    """Maps of one call that are kept for the next."""
    make = r.choice(
        [
            lambda: Keeper(_last_map, state=None),
            lambda: Keeper(_helper, state=SimpleNamespace(map=None)),
            lambda: Keeper(_nested_list, state={"seen": []}),
            lambda: Keeper(_deque, state=deque(maxlen=3)),
            _with_class_attribute,
            lambda: Keeper(_new_attribute),
            lambda: Keeper(_set_of_names, state=set()),
        ]
    )
    return Case(kind="state: map of the last call", make=make, counts=True)


def state_cache(r: Random) -> Case:
    """Constants made once for each size."""
    make = r.choice([lambda: Keeper(_cache_by_size, state={}), _with_memo])
    return Case(kind="state: cache by size", make=make, counts=True)


def state_modules(r: Random) -> Case:
    """Layers that torch does not know of, in plain lists."""
    return Case(
        kind="state: layers in a plain list",
        make=lambda: Keeper(_plain_module, state={"layers": [conv(k=5)]}),
    )
