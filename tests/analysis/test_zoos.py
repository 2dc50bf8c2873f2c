"""Networks of torchvision, smp and MONAI: costs as torch counts them, and each is as it was.

Detectors and networks of volumes are among them. Where the halo is small, tiles equal the whole.
"""

import warnings
from functools import partial

import pytest
import torch
from tests.analysis.fuzz.case import Case
from tests.analysis.fuzz.residue import differences, snapshot
from tests.analysis.fuzz.tiles import tile_fault
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

LARGEST = 60_000_000  # parameters; larger networks are left out, for time
WIDEST_HALO = 48  # pixels that tiles are tried with

TORCHVISION = (
    *("alexnet", "vgg11", "resnet18", "resnext50_32x4d", "densenet121", "squeezenet1_1"),
    *("googlenet", "inception_v3", "shufflenet_v2_x0_5", "mobilenet_v2", "mobilenet_v3_small"),
    *("mnasnet0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "convnext_tiny"),
    *("swin_t", "swin_v2_t", "maxvit_t"),
)
SEGMENTERS = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
VIDEO = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "swin3d_t")
DETECTORS = (
    *("fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn", "fcos_resnet50_fpn"),
    *("retinanet_resnet50_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large"),
    *("maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2"),
    *("retinanet_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn", "maskrcnn_resnet50_fpn_v2"),
)
SMP = [
    (decoder, encoder)
    for decoder, encoders in {
        "Unet": ("resnet18", "mobilenet_v2", "vgg11", "densenet121", "efficientnet-b0", "mit_b0"),
        "UnetPlusPlus": (
            "resnet18",
            "mobilenet_v2",
            "timm-regnetx_002",
            "tu-mobilenetv3_small_050",
        ),
        "MAnet": ("resnet18", "efficientnet-b0", "mit_b0"),
        "Linknet": ("resnet18", "mobilenet_v2", "timm-regnety_002"),
        "FPN": ("resnet18", "mobilenet_v2", "efficientnet-b0", "mit_b0"),
        "PSPNet": ("resnet18", "mobilenet_v2"),
        "DeepLabV3": ("resnet18", "mobilenet_v2"),
        "DeepLabV3Plus": ("resnet18", "mobilenet_v2"),
        "PAN": ("resnet18", "mobilenet_v2"),
        "UPerNet": ("resnet18", "mit_b0"),
        "Segformer": ("resnet18", "mit_b0"),
    }.items()
    for encoder in encoders
]
MONAI = {
    "UNet": {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "channels": (4, 8, 16),
        "strides": (2, 2),
    },
    "AttentionUnet": {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "channels": (4, 8, 16),
        "strides": (2, 2),
    },
    "BasicUNet": {"spatial_dims": 3, "in_channels": 1, "features": (4, 4, 8, 8, 16, 4)},
    "BasicUNetPlusPlus": {"spatial_dims": 2, "in_channels": 1, "features": (4, 4, 8, 8, 16, 4)},
    "SegResNet": {"spatial_dims": 3, "init_filters": 8},
    "SegResNetDS": {"spatial_dims": 3, "init_filters": 8},
    "VNet": {"spatial_dims": 3},
    "DynUNet": {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": (3, 3, 3),
        "strides": (1, 2, 2),
        "upsample_kernel_size": (2, 2),
    },
    "HighResNet": {"spatial_dims": 2, "in_channels": 1},
    "DenseNet121": {"spatial_dims": 3, "in_channels": 1, "out_channels": 2},
    "EfficientNetBN": {
        "model_name": "efficientnet-b0",
        "spatial_dims": 2,
        "in_channels": 1,
        "pretrained": False,
    },
    "AHNet": {"layers": (1, 1, 1, 1), "spatial_dims": 2, "in_channels": 1, "psp_block_num": 0},
    "RegUNet": {
        "spatial_dims": 3,
        "in_channels": 1,
        "num_channel_initial": 4,
        "depth": 2,
        "out_channels": 3,
    },
    "FlexibleUNet": {"in_channels": 3, "out_channels": 2, "backbone": "efficientnet-b0"},
}
"""Arguments of networks of MONAI; small, so that many fit into minutes.

Those that need einops are left out: it is no dependency of the tests.
"""


def torch_counts(model, shape):
    """Products, as torch's own counter has them; None where it does not take the network."""
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad():
            model(torch.empty(shape, device=next(model.parameters()).device))
    except (RuntimeError, NotImplementedError, TypeError, AssertionError):
        return None
    return counter.get_total_flops() / 2


def check(make, channels, size):
    """Costs, model and halo of one network; a list of what is wrong with it."""
    model = make().eval()
    params = sum(p.numel() for p in model.parameters())
    if params > LARGEST:
        return []
    before, faults = snapshot(model), []
    cost = profile(model, size, in_channels=channels)
    seen = receptive_field(model, size, in_channels=channels, counts_holes=False)
    need = halo(model, size, in_channels=channels, seen=seen)
    faults += differences(before, snapshot(model))[:2]
    if cost.params != params:
        faults.append(f"{cost.params} parameters of {params}")
    truth = torch_counts(model, (1, channels, *size))
    if truth is not None and cost.macs != truth and cost.counted == "all":
        faults.append(f"{cost.macs} MACs; torch counts {truth}")
    for found, length, extent in zip(seen.field.size, size, seen.field.extent, strict=True):
        if extent != "finite" and found > length:
            faults.append(f"{found} of {length} are said to be seen")
    if need.is_finite and max(need.pixels) <= WIDEST_HALO:
        case = Case(kind="", make=lambda: real(make), shapes=((1, channels, *size),))
        faults += [fault] if (fault := tile_fault(case, need.pixels, need.alignment)) else []
    return faults


ONE_STAGE = ("fcos", "retinanet", "ssd")
"""Detectors that run every convolution before they look at a box."""


def check_detector(model, name):
    """How many boxes are looked at again depends on the image; what comes before does not.

    Source: operations that torchvision states with its weights, in units of 10^9, for a random
        image, in which detectors of one stage have nothing to look at again.
    """
    from torchvision import models

    before = snapshot(model)
    with pytest.raises(AtrousError, match="depends on the data"):
        receptive_field(model, (320, 320))
    whole = profile(model, (320, 320), with_fields=True)
    assert (whole.counted, whole.layer_fields) == ("at least", None)
    assert "the forward pass asks" in whole.stopped
    assert whole.params == sum(parameter.numel() for parameter in model.parameters())
    stated = models.get_model_weights(name).DEFAULT.meta["_ops"]
    if name.startswith(ONE_STAGE):
        assert whole.macs / 1e9 == pytest.approx(stated, abs=6e-4)
    assert whole.macs / 1e9 <= stated + 6e-4
    cost = profile(model.backbone, (320, 320))
    assert differences(before, snapshot(model)) == []
    assert cost.counted == "all"
    assert cost.macs == torch_counts(model.backbone, (1, 3, 320, 320))


def real(make):
    """The network in float64, ready for use, with statistics that are not those of a start."""
    model = make().eval().double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    return model


def found_wrong(cases):
    """By name: what is wrong."""
    wrong = {}
    for name, (make, channels, size) in cases.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if faults := check(make, channels, size):
                wrong[name] = faults
    return wrong


def of_torchvision(name):
    from torchvision import models

    keywords = {"weights_backbone": None} if name in DETECTORS + SEGMENTERS else {}
    keywords |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, **keywords)


def test_classifiers_and_segmenters_of_torchvision():
    names = TORCHVISION + SEGMENTERS
    assert found_wrong({n: (partial(of_torchvision, n), 3, (224, 224)) for n in names}) == {}


def test_video_networks_of_torchvision():
    cases = {n: (partial(of_torchvision, n), 3, (16, 224, 224)) for n in VIDEO}
    assert found_wrong(cases) == {}


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_of_torchvision(name):
    check_detector(of_torchvision(name).eval(), name)


def test_segmenters_of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch")

    def build(decoder, encoder):
        return getattr(smp, decoder)(encoder, encoder_weights=None, classes=2)

    cases = {f"{d} {e}": (partial(build, d, e), 3, (128, 128)) for d, e in SMP}
    assert found_wrong(cases) == {}


def test_networks_of_monai():
    nets = pytest.importorskip("monai.networks.nets")
    cases = {}
    for name, settings in MONAI.items():
        axes = settings.get("spatial_dims", 2)
        size = (64, 64) if axes == 2 else (32, 32, 32)
        make = partial(getattr(nets, name), **settings)
        cases[name] = (make, settings.get("in_channels", 1), size)
    assert found_wrong(cases) == {}
