"""What holds for every segmenter over several encoders, in 2D and 3D."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from atrous.errors import AtrousError, ShapeError, UnknownNameError
from atrous.networks.backbones import create_encoder
from atrous.networks.catalog import NETWORKS, build_network
from atrous.networks.segmenters import (
    SEGMENTERS,
    JointSegmenter,
    Segmenter,
    SkipEncoderDecoder,
    Vanilla,
    create_segmenter,
)
from atrous.networks.segmenters.fcn import fcn_over

FCNS = {"fcn32s": 0, "fcn16s": 1, "fcn8s": 2}
SMALL = [(name, "vgg11_bn" if name == "segnet" else "espnetv2_0_5") for name in SEGMENTERS]
"""Every segmenter over a quick encoder."""

PAIRS = [
    *SMALL,
    *((name, "resnet18") for name in SEGMENTERS if name != "segnet"),
    *(
        (name, encoder)
        for name in ("skip_encoder_decoder", "fpn", "linknet", "deeplabv3plus")
        for encoder in ("vgg11_bn", "timm:convnext_atto", "torchvision:mnasnet0_5", "inception_v3")
    ),
]


def build(name: str, encoder: str, *, num_classes=5, in_channels=1, spatial_dims=2, **more):
    """Narrow where the paper's width would make a test slow; dilated where it can be."""
    if name in FCNS:
        made = create_encoder(encoder, in_channels=in_channels, spatial_dims=spatial_dims)
        return fcn_over(
            made,
            num_classes=num_classes,
            num_skips=FCNS[name],
            width=8,
            spatial_dims=spatial_dims,
            **more,
        )
    can_dilate = encoder == "resnet18" and name in {"fcn", "deeplabv3", "pspnet"}
    return create_segmenter(
        name,
        encoder=encoder,
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=8 if can_dilate else 32,
        spatial_dims=spatial_dims,
        **more,
    )


def settle(model: nn.Module) -> nn.Module:
    """In eval mode, with statistics as after some training: never 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
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


@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_shapes_follow_channels_and_classes_and_the_batch(name, encoder):
    with torch.device("meta"):
        model = build(name, encoder, in_channels=4, num_classes=1)
        x = torch.empty(3, 4, 97, 131)
    assert model(x).shape == (3, 1, 97, 131)


@pytest.mark.parametrize(("name", "encoder"), SMALL)
def test_training_reaches_every_parameter(name, encoder):
    model = build(name, encoder, has_auxiliary=True).train()
    logits, early = model.forward_with_auxiliary(torch.randn(2, 1, 33, 40))
    assert [part.shape for part in (logits, *early)] == [(2, 5, 33, 40)] * 2
    mask = torch.randint(0, 5, (2, 33, 40))
    sum(nn.functional.cross_entropy(part, mask) for part in (logits, *early)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(
    ("name", "encoder"),
    [*SMALL, ("skip_encoder_decoder", "resnet18"), ("unet", "shufflenet_v2_x0_5")],
)
def test_volumes_too(name, encoder):
    size = (17, 18, 19)
    model = build(name, encoder, spatial_dims=3).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 1, *size)).shape == (1, 5, *size)
    logits = model.train()(torch.randn(2, 1, *size))
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("name", "encoder"), SMALL)
@torch.no_grad()
def test_copies_and_states_and_images_apart_answer_alike(name, encoder):
    model = settle(build(name, encoder))
    x = torch.randn(2, 1, 40, 49)
    expected = model(x)
    assert expected.std() > 0
    assert torch.equal(deepcopy(model)(x), expected)
    other = build(name, encoder).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), expected)
    alone = torch.cat([model(one) for one in x.split(1)])
    torch.testing.assert_close(alone, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize(
    ("name", "encoder"), [pair for pair in SMALL if pair[0] in {"skip_encoder_decoder", "fpn"}]
)
@torch.no_grad()
def test_the_exported_program_answers_alike(name, encoder):
    model = settle(build(name, encoder))
    x = torch.randn(1, 1, 33, 47)
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize(("name", "encoder"), [p for p in SMALL if p[0] not in FCNS])
def test_a_diagnosis_head_is_one_argument(name, encoder):
    model = build(name, encoder, num_labels=3)
    assert isinstance(model, JointSegmenter)
    masks, labels, early = model.train().forward_with_auxiliary(torch.randn(2, 1, 33, 35))
    assert (masks.shape, labels.shape, early) == ((2, 5, 33, 35), (2, 3), [])
    (masks.mean() + labels.mean()).backward()
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        masks, labels = model.eval()(torch.randn(1, 1, 20, 21))
    assert (masks.shape, labels.shape) == ((1, 5, 20, 21), (1, 3))


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


def test_an_encoder_that_only_keeps_the_contract_is_enough():
    class Two(nn.Module):
        out_channels, reductions = (6, 8), (3, 6)

        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 6, 3, stride=3), nn.Conv2d(6, 8, 2, stride=2)

        def forward(self, x):
            first = self.one(x)
            return [first, self.two(first)]

    for model in (Vanilla(Two(), num_classes=2), SkipEncoderDecoder(Two(), num_classes=2)):
        assert isinstance(model, Segmenter)
        assert model.eval()(torch.randn(1, 3, 20, 31)).shape == (1, 2, 20, 31)


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
