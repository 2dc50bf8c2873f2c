"""Fields that can be checked by hand, and what the answer says about itself."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import receptive_field
from atrous.errors import AtrousError, ShapeError, UnknownNameError


def chain(*dilations, kernel=3):
    return nn.Sequential(
        *(nn.Conv2d(1, 1, kernel, padding=d * (kernel - 1) // 2, dilation=d) for d in dilations)
    )


class Branches(nn.Module):
    """The outputs of several branches, concatenated or summed one into the next."""

    def __init__(self, branches, *, fuses=False):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.fuses = fuses

    def forward(self, x):
        parts = []
        for branch in self.branches:
            y = branch(x)
            parts.append(y + parts[-1] if self.fuses and parts else y)
        return torch.cat(parts, 1)


class SmallUNet(nn.Module):
    """3x3, pool, 3x3, 2x2 transposed, skip, 3x3."""

    def __init__(self):
        super().__init__()
        self.top = nn.Conv2d(1, 2, 3, padding=1)
        self.low = nn.Conv2d(2, 2, 3, padding=1)
        self.up = nn.ConvTranspose2d(2, 2, 2, stride=2)
        self.last = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        top = self.top(x)
        return self.last(torch.cat([top, self.up(self.low(F.max_pool2d(top, 2)))], 1))


def inception():
    return Branches(
        [
            nn.Conv2d(1, 1, 1),
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1)),
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 5, padding=2)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(1, 1, 1)),
        ]
    )


def esp(*dilations):
    return nn.Sequential(
        nn.Conv2d(1, 1, 1),
        Branches([nn.Conv2d(1, 1, 3, padding=d, dilation=d) for d in dilations], fuses=True),
    )


def tall_and_wide():
    return nn.Sequential(
        nn.Conv2d(1, 1, (1, 7), padding=(0, 3)), nn.Conv2d(1, 1, (3, 1), padding=(1, 0))
    )


def down_and_up():
    return nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.Upsample(scale_factor=2, mode="bilinear")
    )


BY_HAND = {
    "one 3x3": (chain(1), (3, 3)),
    "dilation 2": (chain(2), (5, 5)),
    "three 3x3": (chain(1, 1, 1), (7, 7)),
    "1x7 then 3x1": (tall_and_wide(), (3, 7)),
    "inception": (inception(), (5, 5)),
    "esp 1 2 4 8": (esp(1, 2, 4, 8), (17, 17)),
    "u-net": (SmallUNet(), (10, 10)),
    "stride 2 and bilinear": (down_and_up(), (5, 5)),
    "3d": (nn.Sequential(nn.Conv3d(1, 1, (1, 3, 3)), nn.Conv3d(1, 1, 3)), (3, 5, 5)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_fields_counted_by_hand(name):
    net, expected = BY_HAND[name]
    seen = receptive_field(net, (12,) * len(expected))
    assert seen.field.size == expected
    assert seen.field.jump == (1.0,) * len(expected)
    assert seen.is_exact
    assert set(seen.field.extent) == {"finite"}


# Source: positions hit per axis by stacks of dilated 3-tap convolutions, by gradient.
GRIDDING = {
    (2, 2, 2): (13, 7),
    (2, 4, 8): (29, 15),
    (1, 2, 9): (25, 21),
    (1, 2, 3): (13, 13),
    (1, 2, 4): (15, 15),
    (1, 2, 5): (17, 17),
    (1, 2, 4, 8): (31, 31),
    (1, 2, 4, 8, 16): (63, 63),
    (1, 2, 5, 9): (35, 35),
    (3, 4, 1): (17, 17),
}


@pytest.mark.parametrize("dilations", GRIDDING)
def test_dilated_stacks_have_the_holes_of_the_gridding_table(dilations):
    size, hit = GRIDDING[dilations]
    field = receptive_field(chain(*dilations), (16, 16)).field
    assert field.size == (size, size)
    assert field.seen == (hit, hit)


def test_coverage_is_the_share_of_the_square():
    shares = {d: receptive_field(chain(*d), (16, 16)).field.coverage for d in GRIDDING}
    assert round(100 * shares[2, 2, 2]) == 29
    assert round(100 * shares[2, 4, 8]) == 27
    assert round(100 * shares[1, 2, 9]) == 71
    assert shares[1, 2, 3] == 1.0


def test_every_layer_has_its_own_field():
    seen = receptive_field(chain(1, 2, 4), (40, 40))
    assert [seen.layers[name].size[0] for name in ("0", "1", "2", "output")] == [3, 7, 15, 15]
    assert receptive_field(chain(1, 2, 4), (40, 40), output="1").field.size == (7, 7)


def test_start_and_centre_follow_padding():
    field = receptive_field(nn.Conv2d(1, 1, 5, stride=2, padding=1), (32, 32)).field
    assert (field.start, field.centre, field.jump) == ((-1.0, -1.0), (1.0, 1.0), (2.0, 2.0))


def test_jump_of_an_upsampled_map_is_a_fraction():
    field = receptive_field(nn.ConvTranspose2d(1, 1, 2, stride=2), (8, 8)).field
    assert field.size == (1, 1)
    assert field.jump == (0.5, 0.5)


def test_paths_that_are_centred_apart_are_found():
    class Apart(nn.Module):
        def __init__(self):
            super().__init__()
            self.even = nn.AvgPool2d(2)
            self.odd = nn.Conv2d(1, 1, 3, stride=2, padding=1)

        def forward(self, x):
            return self.even(x) + self.odd(x)

    seen = receptive_field(Apart(), (32, 32))
    assert not seen.is_aligned
    assert {(m.axis, abs(m.offset)) for m in seen.misalignments} == {(0, 0.5), (1, 0.5)}


@pytest.mark.parametrize("name", ["u-net", "inception", "esp 1 2 4 8"])
def test_paths_that_are_centred_alike_are_not_accused(name):
    assert receptive_field(BY_HAND[name][0], (32, 32)).is_aligned


def test_batch_statistics_see_everything_in_training_and_nothing_more_in_evaluation():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2))
    assert receptive_field(net.eval(), (16, 16)).field.size == (3, 3)
    seen = receptive_field(net.train(), (16, 16), mode="as is")
    assert seen.field.extent == ("whole", "whole")
    assert [(note.kind, note.layer) for note in seen.notes] == [("global", "1")]


@pytest.mark.parametrize(
    "last",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.InstanceNorm2d(2),
        nn.GroupNorm(1, 2),
        nn.Softmax(dim=-1),
        nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
    ],
)
def test_ops_over_space_see_the_whole_input(last):
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), last).eval()
    net(torch.zeros(1, 1, 16, 16))  # gives the lazy layer its shape
    seen = receptive_field(net, (16, 16))
    assert seen.field.extent[1] == "whole"
    assert seen.field.size[1] == 16
    assert any(note.kind == "global" for note in seen.notes)


def test_softmax_over_channels_sees_one_position():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softmax(dim=1))
    assert receptive_field(net, (16, 16)).field.size == (3, 3)


def test_windows_of_attention_see_their_window_only():
    class Windows(nn.Module):
        def forward(self, x):
            b, c, h, w = x.shape
            tokens = x.view(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
            y = F.scaled_dot_product_attention(tokens, tokens, tokens)
            y = y.view(b, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4)
            return y.reshape(b, c, h, w)

    seen = receptive_field(Windows(), (64, 64), in_channels=2)
    assert seen.field.size == (4, 4)
    assert seen.field.jump == (1.0, 1.0)
    assert seen.is_exact


def test_unpooling_is_bounded_by_its_windows_and_marked():
    class Unpool(nn.Module):
        def forward(self, x):
            y, at = F.max_pool2d(x, 2, return_indices=True)
            return F.max_unpool2d(y, at, 2)

    seen = receptive_field(Unpool(), (32, 32), in_channels=1)
    assert seen.field.size == (2, 2)
    assert not seen.is_exact
    assert [note.kind for note in seen.notes] == ["data-dependent"]


def test_sampling_at_computed_positions_is_marked():
    class Sample(nn.Module):
        def forward(self, x):
            grid = torch.stack([x[:, 0], x[:, 1]], -1)
            return F.grid_sample(x, grid, align_corners=False)

    seen = receptive_field(Sample(), (16, 16), in_channels=2)
    assert seen.field.size == (16, 16)
    assert not seen.is_exact


@torch.library.custom_op("atrous_tests::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@mystery.register_fake
def _(x):
    return torch.empty_like(x)


def test_an_unknown_op_is_named_and_makes_the_field_inexact():
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x):
            return mystery(self.conv(x))

    seen = receptive_field(Strange(), (16, 16))
    assert not seen.is_exact
    assert seen.field.size == (16, 16)
    found = {note.kind: note.op for note in seen.notes}
    assert found == dict.fromkeys(["unknown", "global"], "atrous_tests::mystery")


def test_a_network_that_takes_one_size_only_says_that_the_border_cuts():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = chain(1, 2, 4, 8)
            self.head = nn.Linear(16 * 16, 5)

        def forward(self, x):
            return self.head(self.features(x).flatten(1))

    seen = receptive_field(Fixed(), (16, 16))
    # The features still run at larger sizes; only the head does not.
    assert seen.layers["features"].size == (31, 31)
    assert seen.layers["features.0"].size == (3, 3)
    assert seen.field.size == (16, 16)
    assert seen.field.extent != ("finite", "finite")


def test_networks_with_several_outputs_are_asked_by_key():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 5)

        def forward(self, x):
            return {"out": self.a(x), "aux": [self.b(x)]}

    assert receptive_field(Heads(), (16, 16)).field.size == (3, 3)
    assert receptive_field(Heads(), (16, 16), output="output[aux][0]").field.size == (5, 5)
    assert receptive_field(Heads(), (16, 16), output="aux").field.size == (5, 5)
    with pytest.raises(UnknownNameError, match="aux"):
        receptive_field(Heads(), (16, 16), output="axu")


def test_the_field_of_a_second_input():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(2, 1, 5, padding=2)

        def forward(self, x, y):
            return self.a(x) + self.b(y)

    images = (torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 16, 16))
    assert receptive_field(Two(), (), inputs=images).field.size == (3, 3)
    assert receptive_field(Two(), (), inputs=images, source=1).field.size == (5, 5)


def test_maps_with_channels_last_are_read_along_the_right_dimensions():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 8, (3, 5)), nn.Linear(8, 4)

        def forward(self, x):
            return self.linear(self.conv(x).permute(0, 2, 3, 1))

    field = receptive_field(Last(), (20, 24)).field
    assert field.size == (3, 5)
    assert field.jump == (1.0, 1.0)


def test_one_spatial_axis_is_enough():
    net = nn.Sequential(nn.Conv1d(2, 2, 3, dilation=2), nn.MaxPool1d(2), nn.Conv1d(2, 2, 3))
    field = receptive_field(net, (64,)).field
    assert (field.size, field.jump) == ((10,), (2.0,))


def test_an_output_without_the_input_is_an_error():
    class Deaf(nn.Module):
        def forward(self, _):
            return torch.zeros(3)

    with pytest.raises(ShapeError, match="depends on the input"):
        receptive_field(Deaf(), (8, 8), in_channels=1)


def test_control_flow_on_values_is_explained():
    class Branching(nn.Module):
        def forward(self, x):
            return -x if x.sum() > 0 else x

    with pytest.raises(AtrousError, match="depends on the data"):
        receptive_field(Branching(), (8, 8), in_channels=1)
