"""Networks of as many families of timm: nothing crashes, and torch counts alike."""

import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from atrous.analysis import halo, profile, receptive_field

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

FAMILIES = (
    *("resnet18", "mobilenetv3_small_050", "efficientnet_b0", "regnetx_002", "densenet121"),
    *("ghostnet_050", "tinynet_e", "convnext_atto", "vit_tiny_patch16_224", "edgenext_xx_small"),
    *("repvgg_a0", "pit_ti_224", "mobilevit_xxs", "swin_tiny_patch4_window7_224"),
    *("poolformer_s12", "dla34", "hrnet_w18_small"),
)
"""The smallest of seventeen families, convolutional and not."""


def check(build, size):
    with torch.device("meta"):
        model = build().eval()
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


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_timm(name):
    timm = pytest.importorskip("timm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = timm.create_model(name, pretrained=False).default_cfg
        check(
            lambda: timm.create_model(name, pretrained=False),
            config.get("input_size", (3, 224, 224)),
        )
