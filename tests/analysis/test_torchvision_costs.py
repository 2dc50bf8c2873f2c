"""MACs and parameters of every torchvision network whose weights say what they should be.

Source: `_ops` (GMACs, printed by torchvision under the name GFLOPS) and `num_params` in the
weights' metadata.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torchvision import models

from atrous.analysis import profile

SEGMENTATION = ("deeplabv3", "fcn", "lraspp")
OTHER_TASKS = (
    *("rcnn", "retinanet", "ssd", "fcos", "raft", "quantized"),
    *("r3d", "mc3", "r2plus1d", "mvit", "s3d", "swin3d"),
)


ONE_OF_EACH = (
    *("alexnet", "vgg16_bn", "googlenet", "inception_v3", "resnet50", "resnext50_32x4d"),
    *("densenet121", "squeezenet1_0", "shufflenet_v2_x1_0", "mobilenet_v3_large", "mnasnet1_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny", "vit_b_16"),
    *("swin_t", "swin_v2_t", "maxvit_t", "fcn_resnet50", "deeplabv3_mobilenet_v3_large"),
    "lraspp_mobilenet_v3_large",
)
"""Run always; the rest with `-m real`."""


class WithoutWeights(TorchFunctionMode):
    """Makes parameters on the meta device, but lets a constructor compute with other tensors."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.ones, torch.zeros):
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def entries():
    for name in models.list_models():
        if not any(task in name for task in OTHER_TASKS) or name.startswith("fcn"):
            for weights in models.get_model_weights(name):
                if "_ops" in weights.meta:
                    marks = () if name in ONE_OF_EACH else pytest.mark.real
                    yield pytest.param(name, weights, marks=marks, id=f"{name}-{weights.name}")


def build(name, weights):
    settings = weights.transforms.keywords
    size = settings.get("crop_size") or settings["resize_size"]
    arguments = {}
    if name == "googlenet":  # its metadata leaves the auxiliary heads out
        arguments = {"aux_logits": False, "init_weights": False}
    elif name == "inception_v3":  # its metadata counts them
        arguments = {"aux_logits": True, "init_weights": False}
    elif name.startswith("vit"):
        arguments = {"image_size": size}
    elif name.startswith(SEGMENTATION):
        arguments = {"num_classes": len(weights.meta["categories"]), "weights_backbone": None}
        if not name.startswith("lraspp"):
            arguments["aux_loss"] = True
    with WithoutWeights():
        return models.get_model(name, weights=None, **arguments).eval(), size


ENTRIES = list(entries())


def test_no_network_is_left_out():
    assert len(ENTRIES) >= 118
    names = {entry.values[0] for entry in ENTRIES}
    assert {"vit_h_14", "swin_v2_b", "maxvit_t", "lraspp_mobilenet_v3_large", "alexnet"} <= names


@pytest.mark.parametrize(("name", "weights"), ENTRIES)
def test_macs_and_parameters_equal_the_metadata(name, weights):
    model, size = build(name, weights)
    cost = profile(model, (size, size))
    assert round(cost.macs / 1e9, 3) == weights.meta["_ops"]
    assert cost.params == weights.meta["num_params"]
    assert cost.counted == "all"
