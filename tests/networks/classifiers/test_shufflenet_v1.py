"""ShuffleNet v1 against pytorchcv's, through a map of names."""

import re

import pytest
import torch
from pytorchcv.models import shufflenet as theirs

from atrous.networks.catalog import build_network

_UNITS = {
    "compress_conv1": "transform.reduce.conv",
    "compress_bn1": "transform.reduce.norm",
    "dw_conv2": "transform.depthwise.conv",
    "dw_bn2": "transform.depthwise.norm",
    "expand_conv3": "transform.expand.conv",
    "expand_bn3": "transform.expand.norm",
}


def our_key(key: str) -> str:
    if match := re.fullmatch(r"features\.init_block\.(conv|bn)\.(\w+)", key):
        return f"encoder.stages.0.{'conv' if match[1] == 'conv' else 'norm'}.{match[2]}"
    if match := re.fullmatch(r"features\.stage(\d)\.unit(\d)\.(\w+)\.(\w+)", key):
        stage, unit, layer, tensor = match.groups()
        # Our stages count the stem and its pool.
        return f"encoder.stages.{int(stage) + 1}.{int(unit) - 1}.{_UNITS[layer]}.{tensor}"
    assert key.startswith("output.")
    return key.replace("output", "head.linear")


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
@torch.no_grad()
def test_outputs_equal_pytorchcvs(groups):
    model = getattr(theirs, f"shufflenet_g{groups}_w1")(num_classes=5)
    for key, tensor in model.state_dict().items():
        if key.endswith(("running_var", "bn.weight", "bn1.weight", "bn2.weight", "bn3.weight")):
            tensor.uniform_(0.5, 1.5)
        elif tensor.dim() == 1 and tensor.is_floating_point():
            tensor.normal_(std=0.1)
    ours = build_network(f"shufflenet_v1_g{groups}", {"num_classes": 5})
    ours.load_state_dict({our_key(key): value for key, value in model.state_dict().items()})
    x = torch.randn(2, 3, 224, 224)  # the size that their last pool is made for
    for mode in (True, False):  # training first moves the statistics of both
        expected = model.train(mode)(x)
        difference = (ours.train(mode)(x) - expected).abs().max()
        assert difference <= 1e-5 * expected.abs().max()
