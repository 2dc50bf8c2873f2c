"""Segmenters against other people's: the same weights give the same logits, or count the same."""

import pytest
import torch
from torch import nn

from atrous.analysis import profile
from atrous.networks.encoders.catalog import create_encoder
from atrous.networks.segmenters import Segmenter, SegNet, create_segmenter
from atrous.networks.segmenters.deeplab import deeplabv3plus_over
from atrous.networks.segmenters.fpn import FPNDecoder
from atrous.networks.segmenters.linknet import LinkNetDecoder
from atrous.networks.segmenters.pspnet import pspnet_over

AUXILIARY = 2_365_205  # FACTS B9: the auxiliary head of torchvision's ResNet segmenters


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def copy_in_order(theirs: nn.Module, ours: nn.Module) -> None:
    """Both list their tensors in the order of construction, where that is the same."""
    source, target = theirs.state_dict(), ours.state_dict()
    assert [tuple(t.shape) for t in source.values()] == [tuple(t.shape) for t in target.values()]
    ours.load_state_dict(dict(zip(target, source.values(), strict=True)))


def unsettle(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(std=0.1)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)


def assert_equal(ours: nn.Module, theirs, *sizes: tuple[int, int]) -> None:
    for size in sizes:
        x = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected, found = theirs(x), ours(x)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def resnet_key(key: str) -> str:
    """torchvision's name of a ResNet's tensor, from ours in `encoder.stages`."""
    stage, *rest = key.split(".")
    names = {"conv": "conv", "norm": "bn"}
    if stage == "0":
        return f"{names[rest[0]]}1.{rest[1]}"
    block, part, layer, tensor = rest
    number = {"reduce": 1, "conv": 2, "expand": 3, "conv1": 1, "conv2": 2}.get(part)
    prefix = f"layer{stage}.{block.removeprefix('block')}"
    if part == "shortcut":
        return f"{prefix}.downsample.{0 if layer == 'conv' else 1}.{tensor}"
    return f"{prefix}.{names[layer]}{number}.{tensor}"


def copy_resnet(theirs: nn.Module, encoder: nn.Module) -> None:
    source = theirs.state_dict()
    state = {key: source[resnet_key(key.removeprefix("stages."))] for key in encoder.state_dict()}
    encoder.load_state_dict(state)


@pytest.mark.parametrize("name", ["fcn", "deeplabv3"])
def test_torchvisions_resnet_segmenters_answer_alike(name):
    from torchvision.models import segmentation

    build = getattr(segmentation, f"{name}_resnet50")
    theirs = build(weights=None, weights_backbone=None, aux_loss=True).eval()
    unsettle(theirs)
    ours = create_segmenter(name, has_auxiliary=True).eval()
    copy_resnet(theirs.backbone, ours.encoder)
    head = nn.Sequential(ours.decoder.before, ours.decoder.head)
    copy_in_order(theirs.classifier, head)
    copy_in_order(theirs.aux_classifier, ours.auxiliary)

    assert_equal(ours, lambda x: theirs(x)["out"], (64, 72), (49, 35))
    assert_equal(
        lambda x: ours.forward_with_auxiliary(x)[1][0], lambda x: theirs(x)["aux"], (49, 35)
    )


def test_torchvisions_lraspp_answers_alike():
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    unsettle(theirs)
    ours = create_segmenter("lraspp").eval()
    copy_in_order(theirs.backbone, ours.encoder)
    copy_in_order(theirs.classifier, ours.decoder)
    assert_equal(ours, lambda x: theirs(x)["out"], (64, 72), (97, 131))


@pytest.mark.parametrize(
    ("name", "params", "giga_macs"),
    [
        # torchvision's numbers hold the auxiliary head: a 3x3 and a 1x1 on a map of 65 x 65.
        ("fcn", 35_322_218, 152.717),
        ("deeplabv3", 42_004_074, 178.722),
        ("lraspp", 3_221_538, 2.086),
    ],
)
def test_costs_are_torchvisions(name, params, giga_macs):
    with torch.device("meta"):
        ours = create_segmenter(name).eval()
    has_auxiliary = name != "lraspp"
    assert count(ours) == params - AUXILIARY * has_auxiliary
    auxiliary_macs = (9 * 1024 * 256 + 256 * 21) * 65 * 65 * has_auxiliary
    assert round((profile(ours, (520, 520)).macs + auxiliary_macs) / 1e9, 3) == giga_macs


def test_the_auxiliary_head_has_torchvisions_parameters():
    with torch.device("meta"):
        assert count(create_segmenter("fcn", has_auxiliary=True)) == 35_322_218


def smp_model(name: str, encoder: str = "resnet18", **more):
    smp = pytest.importorskip("segmentation_models_pytorch")
    model = getattr(smp, name)(encoder, encoder_weights=None, classes=4, **more).eval()
    unsettle(model)
    return model


def test_smps_unet_answers_alike():
    theirs = smp_model("Unet")
    ours = create_segmenter("unet", encoder="resnet18", num_classes=4).eval()
    copy_resnet(theirs.encoder, ours.encoder)
    copy_in_order(nn.ModuleList([theirs.decoder, theirs.segmentation_head]), ours.decoder)
    assert_equal(ours, theirs, (64, 96))


def test_smps_fpn_answers_alike():
    theirs = smp_model("FPN")
    encoder = create_encoder("resnet18")
    ours = Segmenter(
        encoder, FPNDecoder(encoder, num_classes=4, align_corners=True), align_corners=True
    ).eval()
    copy_resnet(theirs.encoder, ours.encoder)
    copy_in_order(nn.ModuleList([theirs.decoder, theirs.segmentation_head]), ours.decoder)
    assert_equal(ours, theirs, (64, 96))


def test_smps_deeplabv3plus_decoder_answers_alike():
    theirs = smp_model("DeepLabV3Plus", decoder_atrous_rates=(6, 12, 18))
    encoder = create_encoder("resnet18", output_stride=16)
    ours = deeplabv3plus_over(encoder, num_classes=4, align_corners=True).eval()
    decoder = nn.ModuleList([theirs.decoder, theirs.segmentation_head])
    copy_in_order(decoder, ours.decoder)
    # smp dilates the first block of the last stage too, torchvision and we do not: so the same maps
    # go into both decoders.
    copy_resnet(theirs.encoder, ours.encoder)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = ours.encoder(x)
        expected = theirs.segmentation_head(theirs.decoder([x, *maps]))
        found = ours(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("unet", "Unet"), ("fpn", "FPN"), ("deeplabv3plus", "DeepLabV3Plus")],
)
def test_smps_parameter_counts_over_resnet34(name, theirs):
    with torch.device("meta"):
        ours = create_segmenter(name, encoder="resnet34", num_classes=4)
    assert count(ours) == count(smp_model(theirs, "resnet34"))


def test_linknet_has_the_known_parameters():
    pytorchcv = pytest.importorskip("pytorchcv.models.linknet")
    theirs = pytorchcv.linknet_cityscapes(num_classes=11).eval()
    encoder = create_encoder("resnet18")
    ours = Segmenter(encoder, LinkNetDecoder(encoder, num_classes=11)).eval()
    # Theirs has 64 biases in front of a batch normalisation, which takes them off again.
    assert count(theirs) == count(ours) + 64 == 11_534_667  # FACTS C1


def test_pytorchcvs_pspnet_head_answers_alike():
    pytorchcv = pytest.importorskip("pytorchcv.models.pspnet")
    pooling = pytorchcv.PyramidPooling(in_channels=64, upscale_out_size=None)
    final = pytorchcv.PSPFinalBlock(in_channels=128, out_channels=3, bottleneck_factor=8)
    theirs = nn.ModuleList([pooling, final]).eval()
    unsettle(theirs)

    class Identity64(nn.Module):
        out_channels, reductions = (64,), (1,)

        def forward(self, x):
            return [x]

    ours = pspnet_over(Identity64(), num_classes=3, align_corners=True).eval()
    copy_in_order(theirs, ours.decoder)
    x = torch.randn(1, 64, 12, 13)
    with torch.no_grad():
        expected, found = final(pooling(x), x.shape[2:]), ours(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_segnet_has_the_published_parameters_and_macs():
    with torch.device("meta"):
        ours = create_segmenter("segnet", num_classes=11).eval()
    assert count(ours) == 29_449_355  # FACTS C1
    assert round(profile(ours, (360, 480)).macs / 1e9, 1) == 106.3


@torch.no_grad()
def test_segnet_puts_each_value_back_where_its_maximum_was():
    encoder = create_encoder("vgg11_bn").eval()
    model = SegNet(encoder, num_classes=2).eval()
    for index in range(len(model.decoder.blocks)):
        model.decoder.blocks[index] = nn.Identity()
    model.decoder.head = nn.Identity()
    # With one stage left the decoder undoes one pool: the maxima stand where they were.
    encoder.stages, model.decoder.blocks = encoder.stages[:1], model.decoder.blocks[:1]
    x = torch.randn(1, 3, 32, 33)
    full = encoder.stages[0].block(x)
    maps, unpooled = model.run(x)
    assert unpooled.shape == full.shape
    is_kept = unpooled != 0
    assert torch.equal(unpooled[is_kept], full[is_kept])
    assert torch.equal(nn.functional.max_pool2d(unpooled, 2), maps[-1])


def test_fcn_starts_from_bilinear_doubling():
    from atrous.blocks import BilinearUp, resize_linear

    for dims in (2, 3):
        x = torch.randn(1, 2, *(5, 6, 7)[:dims])
        up = BilinearUp(2, spatial_dims=dims)(x)
        expected = resize_linear(x, tuple(2 * n for n in x.shape[2:]), align_corners=False)
        inner = (..., *[slice(1, -1)] * dims)
        torch.testing.assert_close(up[inner], expected[inner])
