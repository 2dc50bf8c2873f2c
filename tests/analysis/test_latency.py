"""Latency: what is measured, what is refused, and the model left alone."""

import time

import pytest
import torch
from torch import nn

from atrous.analysis import latency
from atrous.errors import AtrousError, ShapeError


class Slow(nn.Module):
    """Sleeps a known time, and counts its calls."""

    def __init__(self, seconds):
        super().__init__()
        self.conv, self.seconds, self.calls = nn.Conv2d(1, 1, 1), seconds, 0

    def forward(self, x):
        self.calls += 1
        time.sleep(self.seconds)
        return self.conv(x)


def test_warm_ups_are_thrown_away_and_runs_are_counted():
    model = Slow(0.004)
    found = latency(model, (4, 4), num_warmups=2, num_runs=5, batch_size=3)
    assert model.calls == 7
    assert len(found.seconds) == 5
    assert found.median_seconds >= 0.004
    assert min(found.seconds) <= found.median_seconds <= max(found.seconds)
    assert 0 <= found.spread_seconds <= max(found.seconds) - min(found.seconds)
    assert found.images_per_second == pytest.approx(3 / found.median_seconds)
    assert found.layers == ()


def test_one_run_has_no_spread():
    assert latency(Slow(0), (4, 4), num_runs=1).spread_seconds == 0


def test_layers_share_the_time_by_where_it_is_spent():
    model = nn.Sequential(Slow(0.001), nn.Sequential(Slow(0.006), nn.ReLU()))
    model[1][0].conv = nn.Conv2d(1, 1, 1)
    layers = {
        row.name: row
        for row in latency(model, (4, 4), num_warmups=1, num_runs=5, with_layers=True).layers
    }
    assert next(iter(layers)) == "1.0"
    # Sleeping gives a lower bound that no busy machine undercuts.
    assert layers["1.0"].own_seconds >= 0.006
    assert layers["1"].seconds >= layers["1.0"].seconds
    assert layers["1"].own_seconds < layers["1.0"].own_seconds
    assert layers["1.0"].share == max(row.share for row in layers.values())


def test_threads_are_set_for_the_measurement_only():
    before = torch.get_num_threads()
    assert latency(Slow(0), (4, 4), num_threads=1, num_runs=1).num_threads == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_model_stays_as_it_is(layout):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout()).train()
    model[1].eval()
    strides = model[0].weight.stride()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    latency(model, (8, 8), layout=layout, num_runs=1, with_layers=True)
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert model[0].weight.stride() == strides
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not torch.nn.modules.module._global_forward_hooks


def test_bfloat16_computes_in_bfloat16():
    seen = []

    class Look(nn.Module):
        def forward(self, x):
            seen.append(x.dtype)
            return x

    model = nn.Sequential(nn.Conv2d(1, 1, 1), Look())
    latency(model, (4, 4), precision="bfloat16", num_runs=1, num_warmups=0)
    latency(model, (4, 4), precision="float32", num_runs=1, num_warmups=0)
    assert seen == [torch.bfloat16, torch.float32]


def test_volumes_can_have_channels_last():
    found = latency(nn.Conv3d(1, 1, 3), (6, 6, 6), layout="channels_last", num_runs=1)
    assert found.layout == "channels_last"


def test_what_is_unsafe_or_senseless_is_refused():
    with pytest.raises(AtrousError, match="not safe on the CPU"):
        latency(Slow(0), (4, 4), precision="bfloat16", layout="channels_last")
    with pytest.raises(ShapeError, match="num_runs=0"):
        latency(Slow(0), (4, 4), num_runs=0)
    with pytest.raises(ShapeError, match="num_threads=0"):
        latency(Slow(0), (4, 4), num_threads=0)
    with pytest.raises(ShapeError, match="2 or 3 spatial axes"):
        latency(nn.Conv1d(1, 1, 1), (4,), layout="channels_last")
    with pytest.raises(ShapeError, match="at least 1"):
        latency(Slow(0), (4, 0))
    with pytest.raises(AtrousError, match="no weights"):
        latency(nn.Conv2d(1, 1, 1, device="meta"), (4, 4))
