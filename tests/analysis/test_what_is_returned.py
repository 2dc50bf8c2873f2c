"""The field is that of what the model returns, whatever that is and however it is called."""

import dataclasses
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.utils import _pytree as pytree

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import ShapeError


@dataclasses.dataclass
class Parts:
    name: str
    mask: torch.Tensor
    others: list


class Plain:
    def __init__(self, mask, aux):
        self.size, self.mask, self.aux = 3, mask, aux


class Slotted:
    __slots__ = ("aux", "mask")

    def __init__(self, mask, aux):
        self.aux, self.mask = mask, aux


class Registered:
    def __init__(self, mask, aux):
        self._hidden = (mask, aux)


pytree.register_pytree_node(
    Registered, lambda r: (list(r._hidden), None), lambda items, _: Registered(*items)
)
Pair = namedtuple("Pair", ["mask", "aux"])

WAYS = {
    "dataclass": lambda mask, aux: Parts("x", mask, [aux]),
    "object": Plain,
    "slots": Slotted,
    "registered": Registered,
    "named tuple": Pair,
    "nested": lambda mask, aux: {"a": [{"b": Plain(mask, aux)}]},
}


@pytest.mark.parametrize("way", WAYS)
def test_objects_are_looked_into(way, net, conv):
    def forward(self, x):
        y = self.body(x)
        return WAYS[way](self.head(y), self.aux(y))

    model = net(forward, body=conv(), head=conv(kernel=7), aux=conv(kernel=1))
    seen = receptive_field(model, (24, 24))
    assert seen.field.size == (9, 9)
    assert seen.layer.startswith("output")
    assert halo(model, (24, 24)).pixels == (4, 4)


class OwnCall(nn.Module):
    """A class that is not called through `nn.Module.__call__`."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        y = self.a(x)
        return self.b(y) + F.avg_pool2d(y, 9, 1, 4)


def test_a_class_with_its_own_call_is_seen_to_its_end():
    seen = receptive_field(OwnCall(), (33, 33))
    assert (seen.layer, seen.field.size) == ("output", (11, 11))
    assert halo(OwnCall(), (33, 33)).pixels == (5, 5)
    assert profile(OwnCall(), (33, 33), with_fields=True).layers[0].field.size == (11, 11)


def test_forward_that_is_called_directly_is_seen_to_its_end(conv):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(conv(), conv())

        def forward(self, x):
            return F.max_pool2d(self.inner.forward(x), 3, 1, 1)

    assert receptive_field(Outer(), (24, 24)).field.size == (7, 7)


def test_nothing_returned_is_an_error_and_no_other_layers_field(net, conv):
    def forward(self, x):
        self.last = self.conv(x)

    model = net(forward, conv=conv())
    with pytest.raises(ShapeError, match="No tensor was found in what the model returns"):
        receptive_field(model, (8, 8))
    with pytest.raises(ShapeError, match="No tensor was found"):
        halo(model, (8, 8))
    assert receptive_field(model, (8, 8), output="conv").field.size == (3, 3)
    assert profile(model, (8, 8), with_fields=True).macs == 8 * 8 * 3 * 3 * 9


def test_what_does_not_depend_on_the_input_is_an_error(net, conv):
    def forward(self, x):
        self.conv(x)
        return torch.ones(1, 3, 8, 8)

    with pytest.raises(ShapeError, match="does not depend on the input"):
        receptive_field(net(forward, conv=conv()), (8, 8))


def fill_plane(self, x):
    y = x.clone()
    y[:, 0] = x.mean()
    return self.conv(y)


def fill_by_tensor(self, x):
    y = self.conv(x)
    y[:, 1:2].fill_(x.amax())
    return y


def masked_by_tensor(self, x):
    return self.conv(x).masked_fill(x > 0, x.mean())


def put_by_index(self, x):
    y = self.conv(x)
    y[:, torch.tensor([0, 2])] = x.mean().expand(1, 2, *x.shape[2:])
    return y


def put_by_op(self, x):
    places = (torch.tensor([0]), torch.tensor([1]))
    return self.conv(x).index_put(places, x.mean())


def scattered(self, x):
    at = torch.zeros(1, 1, *x.shape[2:], dtype=torch.long)
    return self.conv(x).scatter(1, at, x.mean().expand(1, 1, *x.shape[2:]))


def added_by_statistics(self, x):
    stats = x.new_zeros(3)
    stats[0] = x.mean()
    stats[1] += x.std()
    return self.conv(x) * stats.view(1, 3, 1, 1)


WRITERS = [
    fill_plane,
    fill_by_tensor,
    masked_by_tensor,
    put_by_index,
    put_by_op,
    scattered,
    added_by_statistics,
]


@pytest.mark.parametrize("forward", WRITERS)
def test_values_that_are_written_carry_their_dependence(forward, net, conv):
    model = net(forward, conv=conv())
    seen = receptive_field(model, (16, 16))
    assert seen.field.size == (16, 16)
    assert not halo(model, (16, 16)).is_finite


def test_conditional_normalisation_keeps_what_its_scale_depends_on(net, conv):
    def forward(self, x):
        scale = x.mean((0, 1, 2))[:16]
        return F.layer_norm(self.conv(x)[..., :16], (16,), scale)

    assert receptive_field(net(forward, conv=conv()), (16, 16)).field.size[0] == 16
