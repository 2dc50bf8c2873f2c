"""What differs from place to place and does not come from the input: a halo covers it, or none."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads
from torch.nn.utils import prune

from atrous.analysis import halo, receptive_field


def coordinates(x, dim):
    shape = [1, 1, 1, 1]
    shape[dim] = x.shape[dim]
    line = torch.linspace(-1, 1, x.shape[dim], dtype=x.dtype).view(shape)
    return line.expand(x.shape[0], 1, *x.shape[2:])


def coordinates_joined(self, x):
    return self.conv(torch.cat([x[:, :1], coordinates(x, 2), coordinates(x, 3)], 1))


def coordinates_stacked(self, x):
    return self.conv(torch.stack([x[:, 0], x[:, 1], coordinates(x, 3)[:, 0]], 1))


def coordinates_written(self, x):
    y = x.clone()
    y[:, :1] = coordinates(x, 3)
    return self.conv(y)


def written_into_coordinates(self, x):
    y = coordinates(x, 3).repeat(1, 3, 1, 1)
    y[:, :2] = x[:, :2]
    return self.conv(y)


def counted_places(self, x):
    return self.conv(x) * torch.ones_like(x[:, :1]).cumsum(3)


def arranged_places(self, x):
    return self.conv(x) + torch.arange(x.shape[3], dtype=x.dtype)


def chosen_by_place(self, x):
    here = torch.arange(x.shape[3]) % 7 < 3
    return torch.where(here, self.conv(x), x)


def masked_by_place(self, x):
    return self.conv(x).masked_fill(torch.arange(x.shape[3]) < x.shape[3] // 2, 0.0)


def product_by_place(self, x):
    rows = x.permute(0, 3, 2, 1).flatten(0, 1)
    weights = torch.arange(3.0 * 3 * len(rows), dtype=x.dtype).view(len(rows), 3, 3)
    y = torch.baddbmm(rows, rows, weights)
    return self.conv(y.view(x.shape[0], x.shape[3], x.shape[2], 3).permute(0, 3, 2, 1))


def scaled_by_size(self, x):
    return self.conv(x) / x.shape[3]


def scaled_by_number_of_places(self, x):
    return self.conv(x) / torch.ones_like(x[0, 0]).sum()


def stacked_and_summed(self, x):
    return torch.stack([self.conv(x), coordinates(x, 3).expand_as(x)]).sum(0)


def product_of_constants(self, x):
    y = self.conv(x)[0]
    places = coordinates(x, 3)[0].expand_as(y)
    return torch.baddbmm(y, places, torch.eye(x.shape[3]).to(x).expand(3, -1, -1))[None]


def upper_corner(self, x):
    return self.conv(x).triu()


def random_numbers(self, x):
    return self.conv(x) + torch.rand_like(x)


def blurred_coordinates(self, x):
    return self.conv(x) + F.avg_pool2d(coordinates(x, 3), 3, 1, 1)


def learned_map(self, x):
    return self.conv(x) + F.interpolate(self.place, size=x.shape[2:])


WITHOUT_HALO = [
    coordinates_joined,
    coordinates_stacked,
    coordinates_written,
    written_into_coordinates,
    counted_places,
    arranged_places,
    chosen_by_place,
    masked_by_place,
    product_by_place,
    scaled_by_size,
    scaled_by_number_of_places,
    stacked_and_summed,
    product_of_constants,
    upper_corner,
    random_numbers,
    blurred_coordinates,
    learned_map,
]


@pytest.mark.parametrize("forward", WITHOUT_HALO)
def test_places_that_differ_leave_no_halo(forward, net, conv):
    model = net(forward, conv=conv(), place=nn.Parameter(torch.rand(1, 3, 4, 4)))
    need = halo(model, (24, 24))
    assert not need.is_finite
    assert need.blockers


def zeros_like(self, x):
    total = torch.zeros_like(x)
    for _ in range(2):
        total = total + self.conv(x)
    return total


def new_ones(self, x):
    return self.conv(x) * x.new_ones(x.shape) + x.new_full((1, 1, 1, x.shape[3]), 2.0)


def filled_after_making(self, x):
    return torch.empty_like(x).fill_(2.0) * self.conv(x)


def chosen_with_zeros(self, x):
    return torch.where(self.conv(x) > 0, x, torch.zeros_like(x))


def slopes_per_channel(self, x):
    return F.hardswish(F.prelu(self.conv(x), self.shift.flatten()))


def channels_summed(self, x):
    return self.conv(x).cumsum(1)


def channels_turned(self, x):
    return self.conv(torch.cat([x, self.conv(x)], 1).flip(1).roll(1, 1)[:, :3])


def channels_sorted(self, x):
    return self.conv(x).sort(1).values


def channels_by_constant_index(self, x):
    return self.conv(x)[:, [2, 0, 1]]


def bias_per_channel(self, x):
    return self.conv(torch.cat([x[:, :1], self.conv(x)[:, :2]], 1)) + self.shift


def numbers_of_neighbours(self, x):
    return self.conv(x) / F.avg_pool2d(torch.ones_like(x[:, :1]), 5, 1, 2)


def zero_frame(self, x):
    inside = torch.zeros_like(x[:, :1])
    inside[..., 3:-3, 3:-3] = 1
    return self.conv(x * inside)


def border_written_over(self, x):
    y = self.conv(x)
    y[..., 0] = 0
    y[..., -2:] = 1
    return self.conv(y)


WITH_HALO = {
    zeros_like: 1,
    new_ones: 1,
    filled_after_making: 1,
    chosen_with_zeros: 1,
    slopes_per_channel: 1,
    channels_summed: 1,
    channels_turned: 2,
    channels_sorted: 1,
    channels_by_constant_index: 1,
    bias_per_channel: 2,
    numbers_of_neighbours: 2,
    zero_frame: 4,
    border_written_over: 3,
}


@pytest.mark.parametrize("forward", WITH_HALO)
def test_what_is_uniform_but_at_the_border_has_a_halo_that_makes_tiles_equal(
    forward, net, conv, tile_error
):
    model = net(forward, conv=conv(), shift=nn.Parameter(torch.rand(3, 1, 1)))
    need = halo(model, (24, 24))
    assert need.pixels[-1] == WITH_HALO[forward]
    assert tile_error(model, need) < 1e-12


def test_two_images_that_are_cut_alike_have_a_halo(net, conv, tile_error):
    def forward(self, x, y):
        return self.conv(x) - self.wide(y)

    model = net(forward, conv=conv(), wide=conv(kernel=5))
    images = [torch.rand(1, 3, 24, 24)] * 2
    need = halo(model, (), inputs=images)
    assert need.pixels == (2, 2)
    assert receptive_field(model, (), inputs=images).field.size == (3, 3)
    assert tile_error(model, need, inputs=2) < 1e-12


class Masked(nn.Conv2d):
    """A convolution of the pixels before, in reading order, as pixel-by-pixel generators have."""

    def __init__(self, kernel):
        super().__init__(3, 3, kernel, padding=kernel // 2)
        mask = torch.ones_like(self.weight)
        mask[:, :, kernel // 2, kernel // 2 + 1 :] = 0
        mask[:, :, kernel // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class MaskedInPlace(Masked):
    def forward(self, x):
        self.weight.data *= self.mask
        return super(Masked, self).forward(x)


@pytest.mark.parametrize("kind", [Masked, MaskedInPlace])
def test_taps_that_a_mask_blocks_are_not_in_the_field(kind, reached):
    model = nn.Sequential(kind(7), kind(3))
    seen = receptive_field(model, (24, 24))
    assert reached(model, torch.rand(1, 3, 24, 24)) == (5, 9)
    if seen.is_exact:
        assert seen.field.size == (5, 9)
    else:
        assert min(seen.field.size) >= 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pruned_columns_of_a_kernel_are_not_in_the_field():
    model = nn.Sequential(nn.Conv2d(3, 3, 5, padding=2))
    mask = torch.ones(3, 3, 5, 5)
    mask[..., 3:] = 0
    prune.custom_from_mask(model[0], "weight", mask)
    assert receptive_field(model, (24, 24)).field.size == (5, 3)


def test_a_fixed_kernel_with_a_hole_shows_it(net):
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).expand(3, 1, 3, 3)

    def forward(self, x):
        return F.conv2d(x, self.kernel, padding=1, groups=3)

    model = net(forward, kernel=sobel)
    field = receptive_field(model, (16, 16), in_channels=3).field
    assert (field.size, field.seen) == ((3, 3), (3, 2))


def test_attention_that_a_constant_confines_is_a_bound(net, conv):
    def forward(self, x):
        tokens = self.conv(x).mean(2).transpose(1, 2)
        places = torch.arange(tokens.shape[1])
        near = (places[:, None] - places).abs() <= 2
        return F.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=near)

    seen = receptive_field(net(forward, conv=conv()), (8, 24))
    assert not seen.is_exact
    assert {"masked"} <= {note.kind for note in seen.notes}
