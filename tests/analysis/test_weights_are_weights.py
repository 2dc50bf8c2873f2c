"""A weight without numbers is a weight: a parameter that asks for gradients as in reality."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, profile, receptive_field


def test_a_branch_on_requires_grad_is_taken_as_in_reality(net, conv):
    def forward(self, x):
        y = self.a(x)
        return y + self.b(y) if any(p.requires_grad for p in self.b.parameters()) else y

    model = net(forward, a=conv(3, 4), b=conv(4, 4, 5))
    assert profile(model, (16, 16)).macs == 16 * 16 * 4 * (3 * 9 + 4 * 25)
    assert receptive_field(model, (16, 16)).field.size == (7, 7)
    assert halo(model, (16, 16)).pixels == (3, 3)
    model.b.requires_grad_(False)
    assert profile(model, (16, 16)).macs == 16 * 16 * 4 * 3 * 9
    assert receptive_field(model, (16, 16)).field.size == (3, 3)


def test_a_branch_on_parameters_is_taken_as_in_reality(net, conv):
    def forward(self, x):
        is_learned = isinstance(self.conv.weight, nn.Parameter) and self.conv.weight.is_leaf
        return self.conv(self.conv(x)) if is_learned else x

    assert receptive_field(net(forward, conv=conv()), (16, 16)).field.size == (5, 5)


def test_a_weight_can_be_tied_inside_forward(net, conv):
    def forward(self, x):
        other = nn.Conv2d(3, 3, 3, padding=1)
        other.weight = self.conv.weight
        return other(self.conv(x))

    model = net(forward, conv=conv())
    cost = profile(model, (16, 16))
    assert (cost.params, cost.macs) == (84, 2 * 3 * 3 * 9 * 16 * 16)
    assert receptive_field(model, (16, 16)).field.size == (5, 5)


def test_a_gradient_by_an_own_weight_is_a_bound_of_everything(net, conv):
    def forward(self, x):
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.conv(x).square().mean(), self.conv.weight)
        return F.conv2d(x, self.conv.weight - 0.1 * slope, self.conv.bias, padding=1)

    model = net(forward, conv=conv())
    seen = receptive_field(model, (16, 16))
    assert (seen.field.size, seen.is_exact) == ((16, 16), False)
    assert not halo(model, (16, 16)).is_finite


def test_a_gradient_by_the_map_is_not_called_exact(net, conv):
    def forward(self, x):
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.conv(y).tanh().sum(), y)
        return x - slope

    model = net(forward, conv=conv())
    assert not receptive_field(model, (16, 16)).is_exact
    assert not halo(model, (16, 16)).is_finite


def test_frozen_numbers_are_counted_apart(conv):
    model = nn.Sequential(conv(), conv(kernel=1))
    model[0].requires_grad_(False)
    cost = profile(model, (8, 8))
    assert (cost.params, cost.frozen, cost.trainable) == (84 + 12, 84, 12)
    assert [(row.name, row.frozen) for row in cost.layers] == [("", 0), ("0", 84), ("1", 0)]
    assert cost.as_dict()["trainable"] == 12


def test_layers_that_the_first_forward_makes_are_counted(net, conv):
    def forward(self, x):
        y = self.conv(x)
        if self.more is None:
            self.more = nn.Conv2d(y.shape[1], 5, 3, padding=1)
        return self.more(y)

    model = net(forward, conv=conv(), more=None)
    cost = profile(model, (16, 16))
    assert cost.params == 84 + 3 * 5 * 9 + 5
    assert {row.name: row.own_macs for row in cost.layers}["more"] == 16 * 16 * 3 * 5 * 9
    assert model.more is None
    assert profile(model, (16, 16), with_fields=True).params == cost.params
