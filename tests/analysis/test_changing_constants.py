"""Tensors whose value decides what runs are followed: counters, offsets, flags."""

import pytest
import torch
from torch import nn

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError


def counted(passes):
    """Runs one convolution as often as a tensor counts."""

    def forward(self, x):
        step = torch.tensor(0)
        while step < passes:
            x = self.conv(x)
            step += 1
        return x

    return forward


def test_a_loop_with_a_tensor_as_its_counter_ends(net, conv):
    model = net(counted(3), conv=conv())
    assert profile(model, (16, 16)).macs == 3 * 16 * 16 * 3 * 3 * 9
    assert receptive_field(model, (16, 16)).field.size == (7, 7)


def test_the_same_op_twice_counts_twice(net, conv):
    def forward(self, x):
        count = torch.tensor(0)
        count += 1
        count += 1
        for _ in range(int(count)):
            x = self.conv(x)
        return x

    model = net(forward, conv=conv())
    assert profile(model, (16, 16)).macs == 2 * 16 * 16 * 3 * 3 * 9
    assert receptive_field(model, (16, 16)).field.size == (5, 5)
    assert halo(model, (16, 16)).pixels == (2, 2)


def test_a_count_among_others_is_refused_rather_than_taken_for_what_it_was(net, conv):
    def forward(self, x):
        counts = torch.tensor([0, 0])
        counts[1].add_(1)
        for _ in range(int(counts[1])):
            x = self.conv(x)
        return x

    with pytest.raises(AtrousError, match="depends on the data"):
        receptive_field(net(forward, conv=conv()), (16, 16))


@torch.library.custom_op("atrous_tests::tally", mutates_args=("n",))
def tally(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    n.add_(1)
    return x * 2


@tally.register_fake
def _(x, n):  # noqa: ARG001 - the op's own arguments
    return torch.empty_like(x)


def test_an_op_that_writes_an_argument_and_returns_another_tensor_keeps_the_field(net, conv):
    def forward(self, x):
        return self.last(tally(self.first(x), torch.zeros(1)))

    seen = receptive_field(net(forward, first=conv(), last=conv(kernel=5)), (24, 24))
    assert seen.layer == "output"
    assert seen.field.size == (24, 24)
    assert not seen.is_exact


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_training_with_quantisation_in_it_is_followed(conv):
    quantize = torch.ao.quantization
    model = nn.Sequential(conv(), nn.ReLU(), conv(kernel=7)).train()
    model.qconfig = quantize.get_default_qat_qconfig("x86")
    model = quantize.prepare_qat(model).eval()
    seen = receptive_field(model, (24, 24))
    assert seen.layer == "output"
    assert min(seen.field.size) >= 9
    assert not seen.is_exact
    assert profile(model, (24, 24)).counted == "all"


def test_leaky_units_with_random_slopes_in_training_are_a_bound(conv):
    model = nn.Sequential(conv(), nn.RReLU(), conv(kernel=5)).train()
    seen = receptive_field(model, (24, 24), mode="as is")
    # How many random numbers are drawn depends on how many values are negative.
    assert (seen.layer, seen.field.size, seen.is_exact) == ("output", (24, 24), False)
    assert not halo(model, (24, 24), mode="as is").is_finite
    assert receptive_field(model, (24, 24)).field.size == (7, 7)


def test_a_single_number_made_by_filling_is_known(net, conv):
    def forward(self, x):
        number = torch.full((), 5)
        number.zero_()
        number.add_(2)
        return self.conv(self.conv(x)) if number == 2 else self.conv(x)

    assert receptive_field(net(forward, conv=conv()), (16, 16)).field.size == (5, 5)
