"""Costs of layers and ops: against formulas, against real runs, and with the model left alone."""

import json
import logging
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import profile
from atrous.errors import AtrousError, ShapeError


def test_a_convolution_costs_what_the_formula_says():
    cost = profile(nn.Conv2d(12, 24, 3), (64, 48))
    assert (cost.weights, cost.biases, cost.params) == (2592, 24, 2616)
    assert cost.macs == 62 * 46 * 12 * 24 * 9
    assert cost.counted == "all"


def test_groups_and_dilation_divide_and_keep():
    assert profile(nn.Conv2d(12, 12, 3, groups=12), (10, 10)).macs == 8 * 8 * 12 * 9
    assert profile(nn.Conv2d(2, 3, 3, dilation=2), (10, 10)).macs == 6 * 6 * 2 * 3 * 9


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_transposed_convolution_is_counted_at_the_input_grid(dims):
    layer = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d][dims - 1]
    cost = profile(layer(6, 4, 3, stride=2, groups=2), (5,) * dims)
    assert cost.macs == 5**dims * 6 * 2 * 3**dims


def test_linear_layers_count_every_position():
    assert profile(nn.Linear(8, 5), inputs=[torch.empty(2, 7, 8)]).macs == 2 * 7 * 8 * 5
    assert profile(nn.Linear(8, 5, bias=False), (), in_channels=8).macs == 40


def test_functional_products_count():
    class Functional(nn.Module):
        def forward(self, a, b):
            return (
                a @ b,
                torch.einsum("bij,bjk->bik", a, b),
                torch.baddbmm(torch.zeros(1), a, b),
                F.scaled_dot_product_attention(a, a, a),
                F.conv1d(a, torch.ones(3, 4, 2)),
            )

    one = 2 * 4 * 5 * 3
    attention = 2 * 4 * 4 * (5 + 5)
    convolution = 2 * 4 * 3 * 4 * 2
    cost = profile(Functional(), inputs=[torch.empty(2, 4, 5), torch.empty(2, 5, 3)])
    assert cost.macs == 3 * one + attention + convolution
    assert cost.input_shapes == ((2, 4, 5), (2, 5, 3))


@pytest.mark.parametrize("training", [False, True])
def test_attention_costs_the_same_through_the_fused_path(training):
    tokens = torch.empty(2, 5, 16)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).train(training)
    attention = 4 * 2 * 5 * 16 * 16 + 2 * 2 * 5 * 5 * 16
    assert profile(layer.self_attn, inputs=[tokens] * 3).macs == attention
    cost = profile(layer, inputs=[tokens])
    assert cost.macs == attention + 2 * 2 * 5 * 16 * 32
    fused = {"_native_multi_head_attention", "_transformer_encoder_layer_fwd"}
    assert bool(fused & {op.op for op in cost.ops}) is not training


def test_attention_with_other_widths_for_keys_and_values():
    layer = nn.MultiheadAttention(16, 2, batch_first=True, kdim=7, vdim=9).eval()
    inputs = [torch.empty(2, 5, 16), torch.empty(2, 3, 7), torch.empty(2, 3, 9)]
    projections = 2 * (5 * 16 * 16 + 3 * 7 * 16 + 3 * 9 * 16 + 5 * 16 * 16)
    assert profile(layer, inputs=inputs).macs == projections + 2 * 2 * 5 * 3 * 16


@pytest.mark.parametrize(("layer", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_layers_count_every_step(layer, gates):
    cost = profile(layer(8, 16, 2, batch_first=True), inputs=[torch.empty(1, 5, 8)])
    assert cost.macs == 5 * gates * 16 * ((8 + 16) + (16 + 16))


def test_bilinear_layers_count_pairs():
    inputs = [torch.empty(7, 4), torch.empty(7, 5)]
    assert profile(nn.Bilinear(4, 5, 3), inputs=inputs).macs == 7 * 4 * 5 * 3


class Shared(nn.Module):
    """One convolution twice, tied weights, and a head that is never used."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.again = self.twice
        self.unused = nn.Linear(7, 7)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.norm(self.twice(self.twice(x)))
        return self.b(self.a(x.mean((2, 3))))


def test_shared_layers_cost_twice_but_weigh_once():
    cost = profile(Shared().eval(), (6, 6))
    assert cost.params == sum(p.numel() for p in Shared().parameters())
    assert cost.buffers == 4 + 4 + 1
    assert cost.macs == 2 * 36 * 4 * 4 * 9 + 2 * 16
    rows = {layer.name: layer for layer in cost.layers}
    assert (rows["twice"].calls, rows["unused"].calls, rows["unused"].params) == (2, 0, 56)
    assert "again" not in rows
    assert rows["b"].weights == 0
    assert rows["b"].own_macs == 16


def nested():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 1)),
        nn.ModuleList([nn.Identity()]) and nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    ).eval()


@pytest.mark.parametrize("model", [nested(), Shared().eval()])
def test_totals_add_up(model):
    cost = profile(model, (8, 8))
    root = cost.layers[0]
    assert root.name == ""
    assert cost.macs == sum(op.macs for op in cost.ops)
    assert cost.macs == sum(layer.own_macs for layer in cost.layers) == root.macs
    assert cost.params == sum(layer.weights + layer.biases for layer in cost.layers) == root.params
    assert cost.buffers == sum(layer.buffers for layer in cost.layers)
    for layer in cost.layers:
        below = [x for x in cost.layers if x.name.startswith(layer.name + ".") or not layer.name]
        inside = {x.name: x for x in [layer, *below]}.values()
        assert layer.macs == sum(x.own_macs for x in inside)


def test_rows_come_in_order_of_execution_under_their_parents():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.late = nn.Conv2d(2, 2, 1)
            self.early = nn.ModuleDict({"x": nn.Conv2d(2, 2, 1), "y": nn.Conv2d(2, 2, 1)})

        def forward(self, x):
            return self.late(self.early["x"](self.early["y"](x)))

    rows = profile(Backwards(), (4, 4)).layers
    assert [(r.name, r.depth) for r in rows] == [
        ("", 0),
        ("early", 1),
        ("early.y", 2),
        ("early.x", 2),
        ("late", 1),
    ]
    assert rows[4].output_shape == (1, 2, 4, 4)
    assert rows[1].output_shape is None


def test_memory_of_a_chain_peaks_at_the_two_largest_neighbours():
    chain = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(8, 2, 1))
    pixels = 4 * 10 * 10  # bytes of one channel
    # The caller holds the image all the time.
    assert profile(chain, (10, 10)).peak_activation_bytes == (1 + 4 + 8) * pixels


def test_skips_stay_alive_and_views_and_in_place_ops_are_free():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 6, 1), nn.Conv2d(6, 6, 1)

        def forward(self, x):
            skip = self.a(x)
            y = F.relu_(self.b(skip)).view(1, 6, -1).view(skip.shape)
            y = self.b(y)
            return y + skip

    pixels = 4 * 8 * 8
    cost = profile(Skip(), (8, 8))
    # image, skip, relu's map, next map; then image, skip, map, sum.
    assert cost.peak_activation_bytes == (1 + 6 + 6 + 6) * pixels
    assert sum(op.new_bytes for op in cost.ops) == 4 * 6 * pixels
    assert cost.ops[-1].live_bytes == (1 + 6 + 6 + 6) * pixels


def saved_bytes(model, image):
    """What autograd really keeps for the backward pass, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tensor.numel() > 1:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        model(image)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "vgg11_bn"]
)
def test_what_training_keeps_is_estimated_within_a_tenth(name):
    models = pytest.importorskip("torchvision.models")
    model = getattr(models, name)(weights=None).train()
    image = torch.rand(2, 3, 64, 64)
    cost = profile(model, (64, 64), batch_size=2)
    assert cost.saved_activation_bytes == pytest.approx(saved_bytes(model, image), rel=0.1)


def test_an_op_that_cannot_be_counted_is_named():
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return torch.fft.rfft2(self.conv(x)).abs()

    cost = profile(nn.Sequential(Fourier()), (8, 8))
    assert cost.counted == "at least"
    assert cost.uncounted == ("_fft_r2c in 0",)
    assert cost.macs == 64 * 9


def snapshot(model):
    return [
        (
            name,
            module.training,
            {k: id(v) for k, v in module._parameters.items()},
            {k: (id(v), v.clone()) for k, v in module._buffers.items()},
            {k: len(v) for k, v in module.__dict__.items() if "hooks" in k},
            sorted(module.__dict__),
        )
        for name, module in model.named_modules()
    ]


class Untidy(nn.Module):
    """Keeps things from its forward pass."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.scale = torch.ones(1)
        self.log = []
        self.lstm = nn.LSTM(6, 3)
        self.register_buffer("queue", torch.zeros(4))

    def forward(self, x):
        self.last = self.norm(self.conv(x))
        self.log.append(self.last)
        self.queue[:2] = self.last.mean()
        return self.lstm(self.last[:, 0])[0] * self.scale


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(training, fails):
    model = Untidy().train(training)
    if fails:
        model.lstm.forward = None
    before, seed = snapshot(model), torch.get_rng_state()
    if fails:
        with pytest.raises(AtrousError):
            profile(model, (8, 8))
    else:
        profile(model, (8, 8), with_fields=True)
    after = snapshot(model)
    for old, new in zip(before, after, strict=True):
        assert old[:3] == new[:3]
        assert old[4:] == new[4:]
        for key, (address, value) in old[3].items():
            assert new[3][key][0] == address
            assert torch.equal(new[3][key][1], value)
    assert model.log == []
    assert not hasattr(model, "last")
    assert torch.equal(seed, torch.get_rng_state())
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not logging.getLogger("torch._subclasses.fake_tensor").disabled


def test_old_style_weight_norm_leaves_real_weights():
    with pytest.warns(FutureWarning):
        layer = torch.nn.utils.weight_norm(nn.Conv2d(1, 2, 3))
    profile(layer, (8, 8))
    assert type(layer.weight) is torch.Tensor
    assert layer(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 6, 6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_weights_are_taken_as_they_are(dtype):
    cost = profile(nn.Conv2d(1, 1, 3).to(dtype), (8, 8))
    assert cost.macs == 36 * 9
    assert cost.param_bytes == 10 * dtype.itemsize


def test_a_model_built_without_weights_costs_the_same():
    with torch.device("meta"):
        model = nested()
    assert profile(model, (8, 8)).macs == profile(nested(), (8, 8)).macs


def test_compiled_models_are_unwrapped():
    assert profile(torch.compile(nn.Conv2d(1, 1, 3)), (8, 8)).macs == 36 * 9


def test_a_batch_costs_as_many_times():
    assert profile(nested(), (8, 8), batch_size=3).macs == 3 * profile(nested(), (8, 8)).macs


def test_fields_come_along_when_asked_for():
    rows = {r.name: r for r in profile(nested(), (8, 8), with_fields=True).layers}
    assert rows["0"].field.size == (3, 3)
    assert rows["1.2"].field.size == (3, 3)
    assert profile(nested(), (8, 8)).layers[1].field is None


def test_the_dictionary_goes_into_json_and_back():
    cost = profile(nested(), (8, 8), with_fields=True)
    read = json.loads(json.dumps(cost.as_dict()))
    assert read["macs"] == cost.macs
    assert read["counted"] == "all"
    assert len(read["layers"]) == len(cost.layers)
    assert read["layers"][1]["field"]["size"] == [3, 3]


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.conv, self.error = nn.Conv2d(3, 3, 1), error

    def forward(self, _):
        raise self.error


BAD = {
    "zero length": (lambda: profile(nn.Conv2d(3, 3, 1), (0, 5)), "at least 1"),
    "fractional length": (lambda: profile(nn.Conv2d(3, 3, 1), (4.0, 5)), "whole number"),
    "too small": (
        lambda: profile(nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(8)), (4, 4)),
        "layer '1' .MaxPool2d. says",
    ),
    "channels": (lambda: profile(nested(), (8, 8), in_channels=4), "to have 3 channels"),
    "axes": (lambda: profile(nested(), (8, 8, 8)), "does not take an input of 1x3x8x8x8"),
    "batch statistics of one value": (
        lambda: profile(nn.BatchNorm2d(3).train(), (1, 1), in_channels=3),
        "more than 1 value per channel",
    ),
    "unknown channels": (lambda: profile(nn.ReLU(), (8, 8)), "give in_channels"),
    "no module": (lambda: profile(len, (8, 8)), "torch.nn.Module"),
    "lazy": (lambda: profile(nn.LazyConv2d(3, 1), (8, 8)), "has no shape yet"),
    "own error": (lambda: profile(Raises(KeyError("boo")), (8, 8)), "KeyError: 'boo'"),
    "empty message": (lambda: profile(Raises(RuntimeError()), (8, 8)), "RuntimeError"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_get_one_line_that_says_what_to_do(name, capfd):
    action, message = BAD[name]
    with pytest.raises(AtrousError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_control_flow_on_values_is_told_by_what_asks_for_it():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return x[x > 0]

    with pytest.raises(AtrousError, match=r"In Branching .* asks where a tensor is true"):
        profile(Branching(), (8, 8))


def test_a_layer_that_is_too_deep_for_the_size_is_a_shape_error():
    with pytest.raises(ShapeError, match="4x4"):
        profile(nn.Sequential(nn.Conv2d(3, 3, 5)), (4, 4))


MEASURE = """
import resource, torch
from torchvision import models
from atrous.analysis import profile
with torch.device("meta"):
    nets = [models.vgg19(), models.vit_h_14()]
profile(torch.nn.Conv2d(3, 3, 3), (8, 8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for net in nets:
    profile(net.eval(), (224, 224), with_fields=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_weight_is_allocated():
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    # vgg19 has 575 MB of weights and vit_h_14 2.5 GB; the analysis itself takes some.
    assert int(run.stdout) < 150_000  # kB
