"""What holds for every segmenter over several encoders, in 2D and 3D."""

from functools import partial
from itertools import accumulate, pairwise
from operator import mul

import pytest
import torch
from torch import nn

from atrous.errors import AtrousError, ShapeError, UnknownNameError
from atrous.networks.catalog import NETWORKS, build_network
from atrous.networks.encoders.catalog import create_encoder
from atrous.networks.segmenters import (
    SEGMENTERS,
    EncoderDecoder,
    JointSegmenter,
    Segmenter,
    SkipEncoderDecoder,
    Vanilla,
    create_segmenter,
)
from atrous.networks.segmenters.deeplab import deeplabv3_over, deeplabv3plus_over
from atrous.networks.segmenters.fcn import dilated_fcn_over, fcn_over
from atrous.networks.segmenters.fpn import FPNDecoder
from atrous.networks.segmenters.linknet import LinkNetDecoder
from atrous.networks.segmenters.lraspp import lraspp_over
from atrous.networks.segmenters.pspnet import pspnet_over

PAIRS = [
    *((name, "vgg11_bn" if name == "segnet" else "espnetv2_0_5") for name in SEGMENTERS),
    *((name, "resnet18") for name in SEGMENTERS if name != "segnet"),
    *(
        (name, encoder)
        for name in ("skip_encoder_decoder", "fpn", "linknet", "deeplabv3plus")
        for encoder in ("vgg11_bn", "timm:convnext_atto", "torchvision:mnasnet0_5", "inception_v3")
    ),
    # Transformers, for which an image is padded more than otherwise.
    *(
        (name, encoder)
        for name in ("vanilla", "unet", "fcn", "lraspp")
        for encoder in ("timm:test_vit", "timm:test_maxvit")
    ),
    pytest.param("lraspp", "timm:hrnet_w18_small", marks=pytest.mark.real),
]


def build(name: str, encoder: str, *, spatial_dims=2) -> nn.Module:
    """Narrow where the paper's width would make a test slow; dilated where it can be."""
    narrow = {"width": 8} if name in {"fcn32s", "fcn16s", "fcn8s"} else {}
    can_dilate = encoder == "resnet18" and name in {"fcn", "deeplabv3", "pspnet"}
    return SEGMENTERS[name](
        encoder=encoder,
        num_classes=5,
        in_channels=1,
        output_stride=8 if can_dilate else 32,
        spatial_dims=spatial_dims,
        **narrow,
    )


def settle(model: nn.Module) -> nn.Module:
    """In eval mode, with statistics as after some training: never 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize(("name", "encoder"), PAIRS)
@torch.no_grad()
def test_logits_have_the_inputs_size_whatever_it_is(name, encoder):
    model = build(name, encoder).eval()
    for size in [(33, 35), (1, 1)]:
        logits = model(torch.randn(1, 1, *size))
        assert logits.shape == (1, 5, *size)
        assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("skip_encoder_decoder", "resnet18"), ("unet", "espnetv2_0_5"), ("pspnet", "resnet18")],
)
def test_volumes_too(name, encoder):
    size = (17, 18, 19)
    model = build(name, encoder, spatial_dims=3).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 1, *size)).shape == (1, 5, *size)
    logits = model.train()(torch.randn(2, 1, *size))
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_diagnosis_changes_nothing_of_the_masks():
    segmenter = settle(create_segmenter("unet", encoder="espnetv2_0_5", num_classes=2))
    x = torch.randn(2, 3, 40, 41)
    with torch.no_grad():
        masks, labels = JointSegmenter(segmenter, num_labels=4).eval()(x)
        assert torch.equal(masks, segmenter(x))
        assert labels.shape == (2, 4)


def test_a_trained_encoder_stays_as_it_is():
    encoder = create_encoder("resnet18")
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    for model in (
        Vanilla(encoder, num_classes=2),
        SkipEncoderDecoder(encoder, num_classes=2),
        JointSegmenter(Vanilla(encoder, num_classes=2), num_labels=2),
    ):
        assert isinstance(model, nn.Module)
        assert all(torch.equal(t, before[key]) for key, t in encoder.state_dict().items())


class Strided(nn.Module):
    """An encoder that only keeps the contract: a convolution a map, as coarse as is said."""

    def __init__(self, *strides: int):
        super().__init__()
        self.reductions = tuple(accumulate(strides, mul))
        self.out_channels = tuple(6 + 2 * index for index in range(len(strides)))
        channels = pairwise((3, *self.out_channels))
        self.stages = nn.ModuleList(
            nn.Conv2d(*pair, stride, stride=stride)
            for pair, stride in zip(channels, strides, strict=True)
        )

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


OVER = {
    "vanilla": Vanilla,
    "encoder_decoder": EncoderDecoder,
    "add": SkipEncoderDecoder,
    "concat": partial(SkipEncoderDecoder, join="concat"),
    "fcn32s": partial(fcn_over, num_skips=0, width=8),
    "fcn": dilated_fcn_over,
    "fpn": lambda encoder, **more: Segmenter(encoder, FPNDecoder(encoder, **more)),
    "linknet": lambda encoder, **more: Segmenter(encoder, LinkNetDecoder(encoder, **more)),
    "deeplabv3": deeplabv3_over,
    "deeplabv3plus": deeplabv3plus_over,
    "pspnet": pspnet_over,
    "lraspp": lraspp_over,
}


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("strides", [(1,), (4,), (7,), (3, 2), (2, 1, 5)], ids=str)
def test_an_encoder_that_only_keeps_the_contract_is_enough(name, strides):
    model = OVER[name](Strided(*strides), num_classes=2)
    model.train()(torch.randn(2, 3, 20, 31)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    for size in [(1, 1), (5, 7), (20, 31)]:
        with torch.no_grad():
            assert model.eval()(torch.randn(1, 3, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize(
    ("build_over", "message"),
    [
        (partial(fcn_over, num_skips=1), "needs maps of 2 sizes"),
        (partial(Vanilla, has_auxiliary=True), "at least two maps"),
    ],
    ids=["skip", "auxiliary"],
)
def test_what_needs_two_maps_refuses_an_encoder_of_one(build_over, message):
    with pytest.raises(ShapeError, match=message):
        build_over(Strided(4), num_classes=2)


def test_every_segmenter_is_a_network_of_the_catalog():
    assert all(NETWORKS[name].build is build for name, build in SEGMENTERS.items())
    arguments = {"encoder": "shufflenet_v2_x0_5", "num_classes": 4, "join": "concat"}
    model = build_network("skip_encoder_decoder", arguments).eval()
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 4, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "u-net"}, UnknownNameError, "Did you mean 'unet'"),
        ({"name": "unet", "encoder": "resnet19"}, UnknownNameError, "Did you mean 'resnet18'"),
        ({"name": "unet", "num_classes": 0}, ShapeError, "at least one class, but got 0"),
        ({"name": "lraspp", "num_classes": 0}, ShapeError, "at least one class, but got 0"),
        ({"name": "vanilla", "num_labels": 0}, ShapeError, "at least one label of images"),
        ({"name": "fcn", "encoder": "shufflenet_v2_x0_5"}, ShapeError, "no dilated form"),
        ({"name": "fcn8s", "output_stride": 4}, ShapeError, "8, 16 or 32, but got 4"),
        ({"name": "segnet", "encoder": "resnet18"}, ShapeError, "use a VGG"),
        ({"name": "segnet", "encoder": "timm:resnet18"}, ShapeError, "use a VGG"),
        ({"name": "segnet", "output_stride": 8}, ShapeError, "output_stride=32"),
        ({"name": "lraspp", "output_stride": 8}, ShapeError, "output stride of 16"),
        ({"name": "lraspp", "spatial_dims": 3}, ShapeError, "images only"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused_by_what_it_is(arguments, error, message):
    with torch.device("meta"), pytest.raises(error, match=message):
        create_segmenter(**arguments)


def test_an_unknown_join_is_refused():
    with pytest.raises(ShapeError, match="'concat' or 'add'"):
        build_network("skip_encoder_decoder", {"join": "multiply"})


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 3, 8, 8, 8), (1, 3, 0, 8), (1, 2, 32, 32)])
@pytest.mark.parametrize("name", ["vanilla", "segnet", "unet"])
def test_inputs_that_do_not_fit_are_refused_by_what_they_are(name, shape):
    with torch.device("meta"):
        model = create_segmenter(name, encoder="vgg11_bn")
        with pytest.raises(AtrousError, match=r"Got an input of (shape|2 channels)"):
            model(torch.empty(shape))
