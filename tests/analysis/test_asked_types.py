"""Code that asks for the very class of a tensor goes the way it goes on real tensors."""

import sys

import pytest
import torch
from torch import nn

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError

CLASSES = {torch.Tensor: 1, nn.Parameter: 2}
A_CLASS = torch.Tensor


def is_plain(x):
    return type(x) is torch.Tensor


class Net(nn.Module):
    """A layer of 5 x 5 where a question is answered with yes, and of 3 x 3 where it is not."""

    def __init__(self, asks):
        super().__init__()
        self.asks = asks
        self.yes, self.no = nn.Conv2d(2, 2, 5, padding=2), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.yes(x) if self.asks(self, x) else self.no(x)


QUESTIONS = {
    "is": lambda _, x: type(x) is torch.Tensor,
    "equals": lambda _, x: type(x) == torch.Tensor,  # noqa: E721 - as people write it
    "by another name": lambda _, x: type(x) is A_CLASS,
    "a parameter": lambda m, _: type(m.yes.weight) is nn.Parameter,
    "one of several": lambda m, _: type(m.yes.weight) in (nn.Parameter, nn.Buffer),
    "in a table": lambda m, x: (CLASSES[type(x)], CLASSES[type(m.no.bias)]) == (1, 2),
    "by its name": lambda _, x: type(x).__name__ == "Tensor",
    "elsewhere": lambda _, x: is_plain(x),
    "of what a layer made": lambda m, x: type(m.no(x) * 2) is torch.Tensor,
    "inside": lambda _, x: all(type(part) is torch.Tensor for part in x.split(1, 1)),
    "as a name of types": lambda *_: isinstance(Net, type | None) and type[int] and int | None,
    "other types": lambda m, _: type(m) is Net and isinstance(Net, type) and type("A", (), {}),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_that_of_real_tensors(name):
    net = Net(QUESTIONS[name])
    assert net.asks(net, torch.rand(1, 2, 8, 8))
    assert receptive_field(net, (32, 32)).field.size == (5, 5)
    assert halo(net, (32, 32)).pixels == (2, 2)
    assert profile(net, (32, 32)).macs >= 32 * 32 * 2 * 2 * 25
    assert "type" not in vars(sys.modules[__name__])


def test_what_cannot_be_answered_so_is_refused():
    net = Net(lambda _, x: x.__class__ is torch.Tensor)
    with pytest.raises(AtrousError, match=r"test_asked_types.py:\d+ compares the `__class__`"):
        receptive_field(net, (32, 32))
    assert "type" not in vars(sys.modules[__name__])
    named = Net(lambda m, _: m.__class__.__name__ == "Net")
    assert receptive_field(named, (32, 32)).field.size == (5, 5)
