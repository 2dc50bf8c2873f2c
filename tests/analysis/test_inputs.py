"""Inputs as models take them, of any rank, and what is said where there is no image."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError, ShapeError


def test_vectors_have_costs_and_no_field():
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    rows = torch.rand(4, 16)
    cost = profile(model, inputs=[rows], with_fields=True)
    assert (cost.params, cost.macs) == (154, 4 * (16 * 8 + 8 * 2))
    for ask in (receptive_field, halo):
        with pytest.raises(ShapeError, match="no spatial axes") as caught:
            ask(model, (), inputs=[rows])
        assert "\n" not in str(caught.value)


def test_scalars_and_single_vectors_have_costs():
    model = nn.Linear(16, 8)
    assert profile(model, inputs=[torch.rand(16)], with_fields=True).macs == 128
    assert profile(nn.ReLU(), inputs=[torch.tensor(1.0)], with_fields=True).macs == 0


def test_tokens_have_costs():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(100, 8), nn.Linear(8, 4)

        def forward(self, ids, mask=None):
            x = self.table(ids)
            return self.head(x if mask is None else x * mask[..., None])

    ids = torch.randint(0, 100, (2, 5))
    assert profile(Reader(), inputs=[ids], with_fields=True).macs == 2 * 5 * 32
    by_name = {"ids": ids, "mask": torch.ones(2, 5)}
    assert profile(Reader(), inputs=by_name).macs == 2 * 5 * 32
    assert profile(Reader(), inputs=[ids, None]).macs == 2 * 5 * 32
    with pytest.raises(ShapeError, match="no spatial axes"):
        receptive_field(Reader(), (), inputs=[ids])


def many(self, images, *, extra=None, scale=1.0):
    x = self.conv(images[0]) + images[1]
    return x * scale if extra is None else x + self.conv(extra["map"])


GIVEN = {
    "a list of images": lambda image: [[image, image]],
    "a tuple of images": lambda image: [(image, image)],
    "by name": lambda image: {"images": [image, image], "extra": {"map": image}, "scale": 2.0},
    "numpy": lambda image: [[image.numpy(), image.numpy()]],
}


@pytest.mark.parametrize("way", GIVEN)
def test_inputs_may_be_nested(way, net, conv):
    model = net(many, conv=conv())
    given = GIVEN[way](torch.rand(1, 3, 16, 16))
    assert profile(model, inputs=given, with_fields=True).params == 84
    assert receptive_field(model, (), inputs=given).field.size == (3, 3)
    assert halo(model, (), inputs=given).pixels == (1, 1)


def test_one_tensor_needs_no_list(conv):
    assert receptive_field(conv(), (), inputs=torch.rand(1, 3, 16, 16)).field.size == (3, 3)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "holds no tensor"),
        ([None], "holds no tensor"),
        (["image.png"], "holds no tensor, only str"),
        ("image.png", "is a str"),
        (3, "is a int"),
    ],
)
@pytest.mark.parametrize("ask", [profile, receptive_field, halo])
def test_what_is_no_input_is_said(ask, inputs, message, conv):
    with pytest.raises(AtrousError, match=message):
        ask(conv(), (), inputs=inputs)


def test_a_source_that_is_not_there_is_said(conv):
    with pytest.raises(ShapeError, match="`source` is 2"):
        receptive_field(conv(), (), inputs=[torch.rand(1, 3, 8, 8)], source=2)


def last_state(self, x):
    return self.last(self.rnn(x)[1][0].squeeze(0))


def rows_of_a_picture(self, x):
    _, (state, _) = self.rnn(self.conv(x).mean(2).transpose(1, 2))
    return self.last(state.transpose(0, 1).flatten(1))


def both_ways(self, x):
    b, c, h, w = x.shape
    rows, _ = self.rnn(self.conv(x).permute(0, 2, 3, 1).reshape(b * h, w, c))
    return rows.view(b, h, w, -1).permute(0, 3, 1, 2)


def test_the_last_state_of_a_recurrent_layer_depends_on_all(net):
    model = net(last_state, rnn=nn.LSTM(8, 16, batch_first=True), last=nn.Linear(16, 4))
    steps = torch.rand(2, 10, 8)
    assert profile(model, inputs=[steps]).macs == 2 * 10 * 4 * 16 * (8 + 16) + 2 * 16 * 4
    assert receptive_field(model, (), inputs=[steps]).field.size == (8,)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_over_rows_see_the_row(kind, net, conv):
    model = net(both_ways, conv=conv(), rnn=kind(3, 4, batch_first=True, bidirectional=True))
    seen = receptive_field(model, (16, 16))
    assert seen.field.size[1] == 16
    assert not halo(model, (16, 16)).is_finite


def test_a_recurrent_layer_over_columns_of_a_picture(net, conv):
    model = net(
        rows_of_a_picture, conv=conv(), rnn=nn.LSTM(3, 8, batch_first=True), last=nn.Linear(8, 4)
    )
    assert receptive_field(model, (16, 48)).field.size == (16, 48)


AWKWARD = {
    "singular values": lambda x: torch.linalg.svd(x)[1].permute(0, 2, 1),
    "quantiles": lambda x: x.quantile(torch.tensor([0.1, 0.5]), dim=3),
    "an empty part": lambda x: x.mean() + x[:0].reshape(0, x.shape[1]).sum(),
    "a view of other width": lambda x: x.view(torch.int32).view(torch.float32),
    "a view of half the width": lambda x: x.view(torch.int16).float(),
    "complex": lambda x: torch.view_as_real(torch.view_as_complex(x.unflatten(3, (-1, 2)))),
    "nothing": lambda x: x,
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "moved axes": lambda x: x.movedim(1, -1).unsqueeze_(0).squeeze_(0),
    "outer": lambda x: torch.outer(x.flatten(), x.flatten()[:4]),
    "histogram": lambda x: torch.histc(x, 10),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_no_op_ends_in_a_traceback(name, net):
    model = net(lambda _, x: AWKWARD[name](x))
    image = torch.rand(1, 3, 12, 12)
    profile(model, inputs=[image], with_fields=True)
    size = receptive_field(model, (), inputs=[image]).field.size
    assert all(0 < n <= 12 for n in size)
    halo(model, (), inputs=[image])


@pytest.mark.parametrize("needs_weights", [False, True])
def test_attention_without_its_weights(needs_weights, net, conv):
    def forward(self, x):
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        return self.attend(tokens, tokens, tokens, need_weights=needs_weights)[0]

    model = net(forward, conv=conv(3, 8), attend=nn.MultiheadAttention(8, 2, batch_first=True))
    assert receptive_field(model, (8, 8)).field.size == (8, 8)
    assert profile(model, (8, 8), with_fields=True).counted == "all"
    assert not halo(model, (8, 8)).is_finite


def test_modules_of_an_exported_program(conv):
    example = (torch.rand(1, 3, 32, 32),)
    model = torch.export.export(nn.Sequential(conv(), conv()), example).module()
    assert profile(model, (32, 32), in_channels=3).macs == 2 * 32 * 32 * 3 * 3 * 9
    assert receptive_field(model, (32, 32), in_channels=3).field.size == (5, 5)


def test_windows_that_are_joined_in_a_loop(net, conv):
    def forward(self, x):
        return torch.cat([self.conv(part) for part in x.split(8, 3)], 3)

    seen = receptive_field(net(forward, conv=conv()), (16, 32))
    assert seen.field.size == (3, 3)
    assert not halo(net(forward, conv=conv()), (16, 32)).is_finite


def test_functions_of_two_pictures_of_other_sizes(net, conv):
    def forward(self, x, y):
        return self.conv(x) + F.interpolate(self.conv(y), size=x.shape[2:])

    images = [torch.rand(1, 3, 32, 32), torch.rand(1, 3, 16, 16)]
    model = net(forward, conv=conv())
    assert receptive_field(model, (), inputs=images, source=1).field.jump == (0.5, 0.5)
    need = halo(model, (), inputs=images)
    assert need.pixels is not None


class TakesOneList(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images):
        return self.conv(images[0]) + images[1]


def test_a_list_is_one_argument_where_forward_takes_one():
    images = [torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)]
    for given in (images, [images]):
        assert profile(TakesOneList(), inputs=given).macs == 16 * 16 * 3 * 27
