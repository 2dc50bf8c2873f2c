"""Ops that are not torch's own: what their authors state, and the reasons that are given else."""

import pytest
import torch
from torch import nn

from atrous.analysis import halo, profile, reasons, receptive_field, register
from atrous.analysis.fields.taps import window_taps
from atrous.analysis.rules import own, rule_of
from atrous.analysis.rules.windows import along
from atrous.analysis.tracing.macs import cost_of
from atrous.errors import AtrousError


@torch.library.custom_op("atrous_tests::blur", mutates_args=())
def blur(x: torch.Tensor, radius: int) -> torch.Tensor:
    return nn.functional.avg_pool2d(x, 2 * radius + 1, 1, radius)


@blur.register_fake
def _(x, radius):  # noqa: ARG001 - the op's own arguments
    return torch.empty_like(x)


def blur_field(call):
    dep, radius = call.dep("x"), call["radius"]
    taps = [
        window_taps(n, n, kernel=2 * radius + 1, stride=1, padding=radius, dilation=1)
        for n in call.shape("x")[2:]
    ]
    return None if dep is None else along(call.run, dep, taps)


@pytest.fixture
def forgetting():
    """What a test registers is forgotten after it."""
    yield
    own.FIELDS.clear()
    own.COSTS.clear()
    rule_of.cache_clear()
    cost_of.cache_clear()


@pytest.fixture
def model(net, conv):
    return net(lambda self, x: blur(self.conv(x), 2), conv=conv())


def test_before_it_is_registered_it_is_named_with_what_would_help(model):
    seen, cost = receptive_field(model, (24, 24)), profile(model, (24, 24))
    lines = reasons(seen, halo(model, (24, 24)), cost)
    starts = {line.partition(":")[0] for line in lines}
    assert starts == {"field a bound", "no halo", "MACs at least"}
    assert all("atrous_tests::blur in the model" in line for line in lines)
    assert sum("atrous.analysis.register" in line for line in lines) == 3
    assert "test_register.py:" in lines[0]
    exact = nn.Conv2d(3, 3, 3)
    whole = receptive_field(exact, (8, 8)), halo(exact, (8, 8)), profile(exact, (8, 8))
    assert reasons(*whole) == []


@pytest.mark.usefixtures("forgetting")
def test_what_is_stated_is_used(model, tile_error):
    register(blur._opoverload, macs=lambda call: 25 * call.out.numel(), field=blur_field)
    cost = profile(model, (24, 24))
    assert (cost.macs, cost.counted) == (24 * 24 * 3 * (3 * 9 + 25), "all")
    seen = receptive_field(model, (24, 24))
    assert (seen.field.size, seen.is_exact) == ((7, 7), True)
    need = halo(model, (24, 24))
    assert need.pixels == (3, 3)
    assert tile_error(model, need) < 1e-12


@pytest.mark.usefixtures("forgetting")
@pytest.mark.parametrize(("kind", "size"), [("pointwise", 3), ("channels", 3), ("whole", 24)])
def test_common_kinds_need_no_rule(kind, size, model):
    register("atrous_tests::blur", macs=0, field=kind)
    seen = receptive_field(model, (24, 24))
    assert (seen.field.size, seen.is_exact) == ((size, size), True)


@pytest.mark.parametrize(
    ("op", "settings", "message"),
    [
        ("blur", {"macs": 0}, "with its namespace"),
        ("aten::add", {"macs": 0}, "torch's own"),
        ("mine::blur", {}, "Nothing is stated"),
        ("mine::blur", {"field": "local"}, "must be one of pointwise, channels, whole"),
    ],
)
def test_what_cannot_be_stated_is_said(op, settings, message):
    with pytest.raises(AtrousError, match=message):
        register(op, **settings)
