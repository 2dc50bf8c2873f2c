"""Encoders by name: ours, dilated ours, timm's and torchvision's, all under one contract."""

import pytest
import torch

from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.catalog import NETWORKS
from atrous.networks.classifiers.espnetv2 import ESPNetv2Encoder
from atrous.networks.encoder import StagedEncoder
from atrous.networks.encoders.catalog import DILATABLE, ENCODERS, STRIDED, create_encoder

FOREIGN = [
    "timm:resnet18",
    "timm:mobilenetv3_small_050",
    "timm:convnext_atto",
    "torchvision:squeezenet1_1",
    "torchvision:mnasnet0_5",
    "torchvision:googlenet",
    pytest.param("timm:efficientnet_b0", marks=pytest.mark.real),
    pytest.param("timm:inception_v3", marks=pytest.mark.real),
    pytest.param("torchvision:inception_v3", marks=pytest.mark.real),
    pytest.param("torchvision:densenet121", marks=pytest.mark.real),
    pytest.param("torchvision:convnext_tiny", marks=pytest.mark.real),
    pytest.param("torchvision:efficientnet_b0", marks=pytest.mark.real),
    pytest.param("torchvision:regnet_y_400mf", marks=pytest.mark.real),
    pytest.param("torchvision:shufflenet_v2_x0_5", marks=pytest.mark.real),
    pytest.param("torchvision:swin_t", marks=pytest.mark.real),
    pytest.param("torchvision:vgg11_bn", marks=pytest.mark.real),
]


@torch.no_grad()
def assert_contract(encoder, *, in_channels=3, least=96, device="cpu"):
    small, large = (least, least + 32), (least + 64, least + 128)
    x = torch.randn(1, in_channels, *small, device=device)
    maps = encoder.eval()(x)
    grown = encoder(torch.randn(1, in_channels, *large, device=device))
    facts = zip(maps, grown, encoder.out_channels, encoder.reductions, strict=True)
    for before, after, channels, reduction in facts:
        assert before.shape[1] == after.shape[1] == channels
        assert (after.shape[2] - before.shape[2]) * reduction == 64
        assert (after.shape[3] - before.shape[3]) * reduction == 96
    assert list(encoder.reductions) == sorted(encoder.reductions)


def test_every_classifier_of_the_catalog_is_an_encoder_too():
    assert set(ENCODERS) == {n for n, e in NETWORKS.items() if e.task == "classification"}


@pytest.mark.parametrize("name", ENCODERS)
def test_our_encoders_are_those_of_the_classifiers(name):
    with torch.device("meta"):
        encoder, classifier = create_encoder(name), NETWORKS[name].build()
    assert encoder.out_channels == classifier.encoder.out_channels
    assert list(encoder.state_dict()) == list(classifier.encoder.state_dict())


@pytest.mark.parametrize("name", DILATABLE)
@pytest.mark.parametrize(
    ("output_stride", "reductions"), [(16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))]
)
def test_dilated_encoders_keep_their_maps_as_large_as_declared(name, output_stride, reductions):
    with torch.device("meta"):
        encoder = create_encoder(name, output_stride=output_stride, in_channels=2)
    assert encoder.reductions == reductions
    assert_contract(encoder, in_channels=2, device="meta")


@pytest.mark.parametrize("name", ["resnet18", "resnet50_v1", "vgg11"])
@pytest.mark.parametrize("output_stride", [8, 16])
@torch.no_grad()
def test_a_dilated_encoder_gives_the_strided_ones_values_and_those_between(name, output_stride):
    strided = create_encoder(name).double().eval()
    dilated = create_encoder(name, output_stride=output_stride).double().eval()
    dilated.load_state_dict(strided.state_dict())
    # An even size at every level: the pools of the strided VGG leave no border out.
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    pairs = zip(strided(x), dilated(x), strided.reductions, dilated.reductions, strict=True)
    for coarse, fine, reduction, kept in pairs:
        step = reduction // kept
        torch.testing.assert_close(fine[..., ::step, ::step], coarse)


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
@torch.no_grad()
def test_dilated_encoders_take_volumes(name):
    encoder = create_encoder(name, spatial_dims=3, output_stride=8, in_channels=1).eval()
    sizes = [m.shape[2:] for m in encoder(torch.randn(1, 1, 16, 17, 24))]
    assert len(set(sizes[2:])) == 1
    assert sizes[-1] in {(2, 2, 3), (2, 3, 3)}


@torch.no_grad()
def test_espnetv2_can_end_before_its_last_level():
    whole, short = ESPNetv2Encoder("0_5").eval(), ESPNetv2Encoder("0_5", num_levels=4).eval()
    state = whole.state_dict()
    short.load_state_dict({key: state[key] for key in short.state_dict()})
    x = torch.randn(1, 3, 65, 70)
    assert short.reductions == (2, 4, 8, 16)
    for a, b in zip(short(x), whole(x), strict=False):
        assert torch.equal(a, b)
    with pytest.raises(ShapeError, match="num_levels=6"):
        ESPNetv2Encoder("0_5", num_levels=6)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_backbones_fit_the_same_contract(name):
    encoder = create_encoder(name, in_channels=4)
    # Windows of Swin must fit into its maps.
    assert_contract(encoder, in_channels=4, least=224 if "swin" in name else 96)


@pytest.mark.parametrize(
    ("name", "divisor"),
    [
        pytest.param("timm:test_vit", 16, id="positions resized"),
        pytest.param("timm:test_maxvit", 160, id="windows"),
        pytest.param(
            "timm:swin_tiny_patch4_window7_224", 32, marks=pytest.mark.real, id="windows padded"
        ),
    ],
)
@torch.no_grad()
def test_backbones_of_one_usual_size_take_multiples_of_a_divisor(name, divisor):
    encoder = create_encoder(name, in_channels=1).eval()
    assert encoder.divisor == encoder.minimum_size == divisor
    for size in [(divisor, 3 * divisor), (2 * divisor, divisor)]:
        maps = encoder(torch.randn(1, 1, *size))
        for found, channels, reduction in zip(
            maps, encoder.out_channels, encoder.reductions, strict=True
        ):
            assert found.shape == (1, channels, *(length // reduction for length in size))


@pytest.mark.real
@torch.no_grad()
def test_maps_that_come_with_channels_last_are_turned():
    # timm's Swin gives (B, H, W, C).
    encoder = create_encoder("timm:swin_tiny_patch4_window7_224").eval()
    facts = zip(
        encoder(torch.randn(1, 3, 224, 224)), encoder.out_channels, encoder.reductions, strict=True
    )
    for feature_map, channels, reduction in facts:
        assert feature_map.shape == (1, channels, 224 // reduction, 224 // reduction)


@torch.no_grad()
def test_torchvisions_maps_are_what_its_stages_give():
    from torchvision import models

    encoder = create_encoder("torchvision:resnet18").eval()
    theirs = models.resnet18(weights=None).eval()
    state = theirs.state_dict()
    encoder.backbone.load_state_dict({key: state[key] for key in encoder.backbone.state_dict()})
    x = torch.randn(1, 3, 64, 96)
    maps = encoder(x)
    y = theirs.relu(theirs.bn1(theirs.conv1(x)))
    assert torch.equal(maps[0], y)
    y = theirs.maxpool(y)
    for index in range(1, 5):
        y = getattr(theirs, f"layer{index}")(y)
        assert torch.equal(maps[index], y)


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet50"])
def test_foreign_resnets_can_be_dilated(name):
    with torch.device("meta" if name.startswith("timm") else "cpu"):
        encoder = create_encoder(name, output_stride=8)
    assert max(encoder.reductions) == 8
    assert encoder.out_channels[-1] in {512, 2048}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "resnet19"}, UnknownNameError, "Did you mean 'resnet18'"),
        ({"name": "timm:resnet19"}, UnknownNameError, "Did you mean 'resnet18'"),
        ({"name": "torchvision:resnet19"}, UnknownNameError, "Did you mean 'resnet18'"),
        ({"name": "keras:resnet18"}, UnknownNameError, "No encoder is named 'keras:resnet18'"),
        ({"name": ""}, UnknownNameError, "No encoder is named ''"),
        ({"name": "resnet18", "output_stride": 4}, ShapeError, "8, 16 or 32, but got 4"),
        ({"name": "vgg11", "output_stride": 64}, ShapeError, "8, 16 or 32, but got 64"),
        ({"name": "googlenet", "output_stride": 8}, ShapeError, "no dilated form"),
        ({"name": "inception_v3", "spatial_dims": 3}, ShapeError, "images only"),
        ({"name": "timm:resnet18", "spatial_dims": 3}, ShapeError, "images only"),
        ({"name": "torchvision:resnet18", "spatial_dims": 3}, ShapeError, "images only"),
        ({"name": "timm:vgg11", "output_stride": 8}, ShapeError, "use another backbone"),
        ({"name": "timm:test_coatnet"}, ShapeError, "takes images of 160x160 only"),
        ({"name": "torchvision:vgg11", "output_stride": 8}, ShapeError, "one of our own"),
        ({"name": "torchvision:resnet18", "output_stride": 8}, ShapeError, "one of our own"),
        ({"name": "torchvision:resnet50", "output_stride": 4}, ShapeError, "not 8, 16 or 32"),
        ({"name": "torchvision:vit_b_16"}, ShapeError, "of one size only"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_by_what_it_is(arguments, error, message):
    with pytest.raises(error, match=message):
        create_encoder(**arguments)


def test_our_encoders_are_listed_once():
    assert not set(STRIDED) & set(DILATABLE)
    assert isinstance(create_encoder("shufflenet_v2_x0_5"), StagedEncoder)
