"""Whatever a forward pass keeps, wherever it keeps it, the model is as it was afterwards."""

import copy
import functools
import sys
import types
from collections import deque

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from atrous.analysis import halo, latency, profile, receptive_field
from atrous.errors import AtrousError


class Shelf:
    """An object without a dictionary."""

    __slots__ = ("kept",)

    def __init__(self):
        self.kept = None


def in_a_dict(self, x):
    self.store["n"] += 1
    return self.conv(x) + self.store["n"]


def in_a_tuple(self, x):
    self.store[0].add_(1)
    return self.conv(x) + self.store[0]


def in_nested_lists(self, x):
    self.store["seen"][0].append(self.conv(x))
    return self.store["seen"][0][-1]


def in_a_queue(self, x):
    self.store.append(self.conv(x))
    return self.store[-1]


def on_a_helper(self, x):
    y = self.conv(x)
    same = self.store.kept is not None and self.store.kept.shape == y.shape
    self.store.kept = y + self.store.kept if same else y
    return self.store.kept


def on_the_class(self, x):
    y = self.conv(x)
    type(self).memory = y
    return y


def in_a_list_of_modules(self, x):
    self.store[0].weight = nn.Parameter(self.store[0].weight * 2)
    return self.store[0](x)


KEEPERS = {
    "dictionary": (in_a_dict, lambda: {"n": torch.zeros(1)}),
    "tuple": (in_a_tuple, lambda: (torch.zeros(1), "name")),
    "nested lists": (in_nested_lists, lambda: {"seen": [[], 3]}),
    "queue": (in_a_queue, lambda: deque(maxlen=3)),
    "plain object": (on_a_helper, lambda: types.SimpleNamespace(kept=None)),
    "slots": (on_a_helper, Shelf),
    "class": (on_the_class, lambda: None),
    "plain list of modules": (in_a_list_of_modules, lambda: [nn.Conv2d(3, 3, 3, padding=1)]),
}


def tensors_of(value, met=None):
    """Every tensor that can be reached."""
    met = set() if met is None else met
    if id(value) in met:
        return
    met.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_of(item, met)
    elif isinstance(value, list | tuple | deque):
        for item in value:
            yield from tensors_of(item, met)
    elif hasattr(value, "__dict__") and not isinstance(value, type | types.FunctionType):
        yield from tensors_of(vars(value), met)
        yield from tensors_of(dict(vars(type(value))), met)
    elif hasattr(value, "kept"):
        yield from tensors_of(value.kept, met)


@pytest.mark.parametrize("name", KEEPERS)
def test_what_is_kept_is_put_back(name, net, conv):
    forward, make = KEEPERS[name]
    model = net(forward, conv=conv(), store=make())
    twin = copy.deepcopy(model)
    before = [(id(t), t.clone()) for t in tensors_of(model)]
    for _ in range(2):
        profile(model, (16, 16), with_fields=True)
        receptive_field(model, (16, 16))
        halo(model, (16, 16))
    after = list(tensors_of(model))
    assert [id(t) for t in after] == [address for address, _ in before]
    for tensor, (_, value) in zip(after, before, strict=True):
        assert not isinstance(tensor, FakeTensor)
        assert torch.equal(tensor, value)
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(image), twin(image))


@pytest.mark.parametrize("name", ["nested lists", "plain object", "queue"])
def test_the_runs_of_one_call_do_not_see_each_other(name, net, conv):
    forward, make = KEEPERS[name]
    field = receptive_field(net(forward, conv=conv(), store=make()), (16, 16)).field
    assert field.size == (3, 3)
    assert field.seen == (3, 3)


def test_after_an_error_the_model_is_as_it_was(net, conv):
    def forward(self, x):
        self.store["n"] += 1
        self.store["maps"].append(self.conv(x))
        raise KeyError("boo")

    model = net(forward, conv=conv(), store={"n": torch.zeros(1), "maps": []})
    with pytest.raises(AtrousError, match="boo"):
        profile(model, (8, 8))
    assert model.store == {"n": torch.zeros(1), "maps": []}
    assert type(model.conv.weight) is nn.Parameter


@functools.lru_cache
def ones(height, width):
    return torch.ones(1, 1, height, width)


CACHE = {}


def test_caches_of_a_file_hold_no_tensors_without_numbers(net, conv):
    def forward(self, x):
        size = tuple(x.shape[2:])
        if size not in CACHE:
            CACHE[size] = torch.full((1, 1, *size), 2.0)
        return self.conv(x * ones(*size) * CACHE[size])

    model = net(forward, conv=conv())
    image = torch.rand(1, 3, 16, 16)
    profile(model, (16, 16), with_fields=True)
    halo(model, (16, 16))
    assert CACHE == {}
    assert type(model(image)) is torch.Tensor
    assert latency(model, (16, 16), num_runs=1).median_seconds > 0
    CACHE.clear()


def test_a_tensor_that_cannot_be_found_is_an_error_that_says_where(net, conv, monkeypatch):
    elsewhere = types.ModuleType("elsewhere")
    elsewhere.kept = []
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)

    def forward(self, x):
        sys.modules["elsewhere"].kept.append(self.conv(x))
        return elsewhere.kept[-1]

    with pytest.raises(AtrousError, match="keeps tensors in a list"):
        profile(net(forward, conv=conv()), (8, 8))


def test_what_a_function_keeps_is_put_back(net, conv):
    def forward(self, x):
        forward.kept.append(self.conv(x))
        return forward.kept[-1]

    forward.kept = []
    profile(net(forward, conv=conv()), (8, 8), with_fields=True)
    assert forward.kept == []


def test_hooks_of_the_model_itself_are_part_of_it(conv):
    model = nn.Sequential(conv(), conv())
    model.register_forward_hook(lambda _, __, out: nn.functional.avg_pool2d(out, 5, 1, 2))
    seen = receptive_field(model, (24, 24))
    assert (seen.layer, seen.field.size) == ("output", (9, 9))
    assert halo(model, (24, 24)).pixels == (4, 4)
    model[0].register_forward_hook(lambda _, __, out: nn.functional.avg_pool2d(out, 3, 1, 1))
    assert receptive_field(model, (24, 24), output="0").field.size == (5, 5)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_forward_without_gradients_costs_and_sees_the_same(mode, net, conv):
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

    model = net(mode()(forward), a=conv(), b=conv())
    cost = profile(model, (16, 16))
    assert (cost.macs, cost.counted) == (2 * 16 * 16 * 3 * 3 * 9, "all")
    seen = receptive_field(model, (16, 16))
    assert (seen.field.size, seen.is_exact) == ((5, 5), True)
