"""A larger run counts only if it is the same network; else the size asked for has the last word."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, receptive_field


def test_a_view_that_makes_the_image_part_of_the_batch_sees_the_whole_image(net):
    def forward(self, x):
        x = F.max_pool2d(self.b(F.max_pool2d(self.a(x), 2)), 2)
        return self.last(x.view(-1, 96))

    model = net(forward, a=nn.Conv2d(1, 4, 5), b=nn.Conv2d(4, 6, 5), last=nn.Linear(96, 10))
    for batch in (1, 16):
        seen = receptive_field(model, (), inputs=[torch.rand(batch, 1, 28, 28)])
        assert seen.field.size == (28, 28)
        assert max(seen.layers["last"].size) <= 28


def larger_kernel_for_larger_images(self, x):
    return self.conv(x) if x.shape[3] > 40 else F.avg_pool2d(self.conv(x), 5, 1, 2)


def another_number_of_passes(self, x):
    for _ in range(x.shape[3] // 16):
        x = self.conv(x)
    return x


def kernel_by_size(self, x):
    n = x.shape[3] // 8 * 2 + 1
    return F.avg_pool2d(self.conv(x), n, 1, n // 2)


def dilation_by_size(self, x):
    d = x.shape[3] // 16
    return F.conv2d(x, self.conv.weight, padding=d, dilation=d)


TRUE = {
    larger_kernel_for_larger_images: 7,
    another_number_of_passes: 5,
    kernel_by_size: 11,
    dilation_by_size: 5,
}


@pytest.mark.parametrize("forward", TRUE)
def test_what_depends_on_the_size_is_said_of_the_size_asked_for(forward, net, conv, reached):
    model = net(forward, conv=conv())
    seen = receptive_field(model, (32, 32))
    assert seen.field.size == (TRUE[forward],) * 2
    assert "size-dependent" in {note.kind for note in seen.notes}
    assert not seen.is_exact
    assert not halo(model, (32, 32)).is_finite
    assert reached(model, torch.rand(1, 3, 32, 32)) == seen.field.size


def test_shapes_that_are_kept_by_size_do_not_leak_into_the_larger_run(net, conv):
    def forward(self, x):
        if self.weights is None:
            self.weights = torch.ones(x.shape[2:])
        return self.conv(x) * self.weights[: x.shape[2], : x.shape[3]].mean()

    assert receptive_field(net(forward, conv=conv(), weights=None), (16, 16)).field.size == (3, 3)


class Pyramid(nn.Module):
    """Pools into bins, none of which is the whole image, and resizes them to the map."""

    def __init__(self, *bins):
        super().__init__()
        self.conv, self.bins = nn.Conv2d(3, 3, 3, padding=1), bins

    def forward(self, x):
        x = self.conv(x)
        pooled = [F.adaptive_avg_pool2d(x, n) for n in self.bins]
        return x + sum(F.interpolate(p, x.shape[2:], mode="bilinear") for p in pooled)


def test_a_pyramid_is_never_seen_to_read_more_than_the_image():
    seen = receptive_field(Pyramid(2, 4), (32, 32))
    assert max(seen.field.size) <= 32
    assert not seen.is_exact or set(seen.field.extent) == {"whole"}
    assert 0 not in seen.field.jump


def test_a_pyramid_with_a_global_bin_sees_the_whole_image():
    seen = receptive_field(Pyramid(1, 2, 4), (32, 32))
    assert seen.field.size == (32, 32)


def test_bins_alone_are_bounded_by_the_size(net, conv):
    def forward(self, x):
        return F.adaptive_avg_pool2d(self.conv(x), 4)

    field = receptive_field(net(forward, conv=conv()), (256, 256)).field
    assert field.size == (66, 66)
    assert field.extent == ("cut", "cut")


def test_padding_to_a_multiple_keeps_the_field(net, conv):
    def forward(self, x):
        h, w = x.shape[2:]
        x = F.pad(x, (0, -w % 8, 0, -h % 8))
        return F.interpolate(F.max_pool2d(self.conv(x), 8), scale_factor=8.0)[..., :h, :w]

    assert receptive_field(net(forward, conv=conv()), (24, 24)).field.size == (10, 10)


def test_a_network_of_one_size_keeps_what_its_middle_shows(net, conv):
    def forward(self, x):
        assert x.shape[2:] == (32, 32)
        return self.conv(x)

    seen = receptive_field(net(forward, conv=conv()), (32, 32))
    assert (seen.field.size, seen.is_exact) == ((3, 3), True)
    assert not halo(net(forward, conv=conv()), (32, 32)).is_finite


def test_one_output_for_all_sees_the_whole_input_though_its_maps_see_more():
    layers = [nn.Conv2d(3, 3, 3, padding=4**k, dilation=4**k) for k in range(7)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
    seen = receptive_field(model, (64, 64))
    assert (seen.field.size, seen.field.extent) == ((64, 64), ("whole", "whole"))
    assert seen.is_exact
    flat = nn.Sequential(*layers[:4], nn.MaxPool2d(32), nn.Flatten(), nn.Linear(12, 5))
    seen = receptive_field(flat, (64, 64))
    assert (seen.field.size, seen.field.extent) == ((64, 64), ("whole", "whole"))
