"""One network of every family of timm: nothing crashes, and torch counts alike."""

import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.analysis import halo, profile, receptive_field

SHARDS = 10
pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]
LARGEST = 100_000_000  # parameters


def families():
    """The smallest-sounding name of every family."""
    timm = pytest.importorskip("timm")
    members = {}
    for name in timm.list_models():
        members.setdefault(timm.models._registry._model_to_module[name], []).append(name)
    small = ("tiny", "small", "nano", "pico", "atto", "18", "26", "_s", "b0")
    return [
        next((n for n in sorted(names, key=len) if any(word in n for word in small)), names[0])
        for _, names in sorted(members.items())
    ]


def check(build, size):
    with torch.device("meta"):
        model = build().eval()
    if sum(p.numel() for p in model.parameters()) > LARGEST:
        return
    cost = profile(model, size[1:], in_channels=size[0], with_fields=True)
    assert cost.params == sum(p.numel() for p in model.parameters())
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad():
            model(torch.empty(1, *size, device="meta"))
    except (RuntimeError, NotImplementedError, TypeError, AssertionError):
        pass  # torch's counter or its meta kernels do not take this network
    else:
        assert 2 * cost.macs == counter.get_total_flops() or cost.counted == "at least"
    seen = receptive_field(model, size[1:], in_channels=size[0], counts_holes=False)
    for found, length, extent in zip(seen.field.size, size[1:], seen.field.extent, strict=True):
        assert extent == "finite" or found <= length
    halo(model, size[1:], in_channels=size[0], seen=seen)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_networks_of_every_family_of_timm(shard):
    timm = pytest.importorskip("timm")
    for name in families()[shard::SHARDS]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = timm.create_model(name, pretrained=False).default_cfg
            check(
                lambda name=name: timm.create_model(name, pretrained=False),
                config.get("input_size", (3, 224, 224)),
            )
