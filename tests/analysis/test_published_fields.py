"""Receptive fields of published networks, to the pixel.

The numbers were measured by gradient (float64, constant positive weights, average in place of
maximum pooling, no activations); several are also in google-research/receptive_field and in Araujo
et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

import pytest
import torch
from torch import nn
from torchvision import models

from atrous.analysis import receptive_field


def meta(name, **arguments):
    with torch.device("meta"):
        return getattr(models, name)(weights=None, **arguments).eval()


def fields(net, size=(224, 224)):
    return receptive_field(net, size, counts_holes=False).layers


def square(field):
    """(size, jump) of a field that is the same on both axes."""
    assert field.size[0] == field.size[1]
    assert field.jump[0] == field.jump[1]
    assert set(field.extent) == {"finite"}
    return field.size[0], field.jump[0]


VGG = {
    "vgg11": ((4, 2), (10, 4), (30, 8), (70, 16), (150, 32), -59),
    "vgg13": ((6, 2), (16, 4), (36, 8), (76, 16), (156, 32), -62),
    "vgg16": ((6, 2), (16, 4), (44, 8), (100, 16), (212, 32), -90),
    "vgg19": ((6, 2), (16, 4), (52, 8), (124, 16), (268, 32), -118),
}


@pytest.mark.parametrize("name", VGG)
def test_vgg_after_every_pooling(name):
    *expected, start = VGG[name]
    net = meta(name)
    seen = fields(net)
    pools = [n for n, m in net.named_modules() if isinstance(m, nn.MaxPool2d)]
    assert [square(seen[pool]) for pool in pools] == expected
    assert seen[pools[-1]].start == (start, start)


RESNET = {
    "resnet18": (43, 99, 211, 435),
    "resnet34": (59, 179, 547, 899),
    "resnet50": (35, 91, 267, 427),
    "resnet101": (35, 91, 811, 971),
    "resnet152": (35, 155, 1291, 1451),
}


@pytest.mark.parametrize("name", RESNET)
def test_resnet_after_every_stage(name):
    seen = fields(meta(name))
    assert square(seen["maxpool"]) == (11, 4)
    expected = list(zip(RESNET[name], (4, 8, 16, 32), strict=True))
    assert [square(seen[f"layer{i}"]) for i in (1, 2, 3, 4)] == expected
    start = -(RESNET[name][-1] - 1) // 2
    assert seen["layer4"].start == (start, start)
    assert seen["layer4"].centre == (0, 0)


V1 = {"resnet50": 483, "resnet101": 1027, "resnet152": 1507}


@pytest.mark.parametrize("name", V1)
def test_resnet_as_in_the_paper_strides_in_the_first_convolution(name):
    size, net = V1[name], meta(name)
    for block in net.modules():
        if isinstance(block, models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    field = fields(net)["layer4"]
    assert square(field) == (size, 32)
    assert field.start == (-(size - 1) // 2,) * 2


def test_alexnet():
    field = fields(meta("alexnet"))["features"]
    assert square(field) == (195, 32)
    assert field.start == (-66, -66)


def test_googlenet_as_in_torchvision():
    seen = fields(meta("googlenet", aux_logits=False, init_weights=False))
    expected = {
        "maxpool1": (11, 4),
        "conv3": (19, 4),
        "maxpool2": (27, 8),
        "inception3a": (43, 8),
        "inception3b": (59, 8),
        "inception4a": (107, 16),
        "inception4d": (203, 16),
        "inception5a": (315, 32),
        "inception5b": (379, 32),
    }
    assert {name: square(seen[name]) for name in expected} == expected


def test_inception_v3():
    seen = fields(meta("inception_v3", init_weights=False), (299, 299))
    sizes = {
        **{"Mixed_5b": 63, "Mixed_5c": 95, "Mixed_5d": 127, "Mixed_6a": 159, "Mixed_6b": 351},
        **{"Mixed_6c": 543, "Mixed_6d": 735, "Mixed_6e": 927, "Mixed_7a": 1055, "Mixed_7b": 1183},
    }
    assert {name: seen[name].size[0] for name in sizes} == sizes
    assert square(seen["Mixed_7c"]) == (1311, 32)
    assert seen["Mixed_7c"].start == (-618, -618)


def test_shufflenet_v2():
    seen = fields(meta("shufflenet_v2_x1_0"))
    expected = {"conv1": 3, "maxpool": 7, "stage2": 63, "stage3": 303, "stage4": 527, "conv5": 527}
    assert {name: seen[name].size[0] for name in expected} == expected
    assert square(seen["conv5"]) == (527, 32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mobilenet_v2", (491, 32)), ("squeezenet1_1", (207, 16)), ("densenet121", (2071, 32))],
)
def test_other_networks(name, expected):
    assert square(fields(meta(name))["features"]) == expected


OF_PYTORCHCV = {
    "resnet50": ("features.stage4", (483, 32)),
    "bninception": ("features.stage3", (699, 32)),
    "shufflenet_g3_w1": ("features.stage3", (527, 32)),
}


@pytest.mark.parametrize("name", OF_PYTORCHCV)
def test_networks_of_pytorchcv(name):
    layer, expected = OF_PYTORCHCV[name]
    with torch.device("meta"):
        net = pytest.importorskip("pytorchcv.model_provider").get_model(name).eval()
    assert square(fields(net)[layer]) == expected


def test_the_encoder_of_espnet():
    espnet = pytest.importorskip("atrous.networks.segmenters.espnet")
    seen = fields(espnet.espnet_c(num_classes=20, p=2, q=8).eval(), (512, 1024))
    expected = {
        "encoder.stem": (3, 2),
        "encoder.down2": (135, 4),
        "encoder.stage2": (391, 4),
        "encoder.down3": (655, 8),
        "encoder.stage3": (2703, 8),
    }
    assert {name: square(seen[name]) for name in expected} == expected
    assert seen["encoder.stage3"].start == (-1351, -1351)
