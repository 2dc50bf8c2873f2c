"""What holds for every segmenter of the catalog; a new line there is tested without a new test.

Each is built small: what has an encoder by name stands on a quick one, the others take their
smallest setting. What takes longer, and the default settings, run where there is time.
"""

from inspect import signature
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from atrous.networks.catalog import NETWORKS
from atrous.networks.segmenters import SEGMENTERS

NAMES = [name for name, entry in NETWORKS.items() if entry.task != "classification"]
QUICK = "shufflenet_v2_x0_5"
SMALL = {
    "espnet": {"p": 1, "q": 1},
    "espnet_c": {"p": 1, "q": 1},
    "espnetv2_seg": {"width": "0_5"},
    "espnetv2_seg_2018": {"width": "0_5"},
    "biopsy": {"margin": 8},
    "segnet": {"encoder": "vgg11_bn"},  # it takes the pools of a VGG
    # 4096 channels, as published, are 8 here.
    "fcn32s": {"encoder": QUICK, "width": 8},
    "fcn16s": {"encoder": QUICK, "width": 8},
    "fcn8s": {"encoder": QUICK, "width": 8},
}
SLOW = {"biopsy", "segnet"}
"""Two ResNets, and a VGG at full size."""

SIZES = [(350, 525), (97, 131)]
MATRIX = list(product(SIZES, (1, 3), (1, 4)))
# Any two values of size, batch and channels meet in one of these.
QUARTER = [((350, 525), 1, 1), ((350, 525), 3, 4), ((97, 131), 1, 4), ((97, 131), 3, 1)]


def small(name: str) -> dict[str, object]:
    if name in SMALL:
        return SMALL[name]
    has_encoder = "encoder" in signature(NETWORKS[name].build).parameters
    return {"encoder": QUICK, "output_stride": 32} if has_encoder else {}


def cases(*, slow: set[str], names=NAMES) -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.real if name in slow else (), id=name)
        for name in names
    ]


def build(name: str, *, num_classes=5, in_channels=2, spatial_dims=2, **more) -> nn.Module:
    return NETWORKS[name].build(
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
        **{**small(name), **more},
    )


def parts(output: object) -> list[Tensor]:
    """Masks first, then labels and auxiliary logits, whatever there is."""
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in parts(part)]


def settle(model: nn.Module) -> nn.Module:
    """In eval mode, with statistics as after some training: never 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@torch.no_grad()
def assert_logits(name, size, *, batch, in_channels, device, **arguments):
    with torch.device(device):
        model = build(name, in_channels=in_channels, spatial_dims=len(size), **arguments).eval()
        masks, *others = parts(model(torch.randn(batch, in_channels, *size)))
    assert masks.shape == (batch, 5, *size)
    assert all(other.shape[0] == batch for other in others)
    if device == "cpu":
        assert masks.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_images_size_for_any_batch_and_channels(name):
    for size, batch, in_channels in QUARTER:
        is_long = name in SLOW or (size, batch) == ((350, 525), 3)
        device = "meta" if is_long else "cpu"
        assert_logits(name, size, batch=batch, in_channels=in_channels, device=device)


@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_volumes_size_for_any_batch_and_channels(name):
    for batch, in_channels in [(1, 1), (3, 4)]:
        device = "meta" if name in SLOW or batch == 3 else "cpu"
        assert_logits(name, (33, 34, 35), batch=batch, in_channels=in_channels, device=device)


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_logits_have_the_inputs_size_in_every_combination(name):
    for size, batch, in_channels in MATRIX:
        assert_logits(name, size, batch=batch, in_channels=in_channels, device="cpu")
    for batch, in_channels in product((1, 3), (1, 4)):
        assert_logits(name, (33, 34, 35), batch=batch, in_channels=in_channels, device="cpu")


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_logits_of_the_default_settings_have_the_images_size(name):
    for in_channels, batch, size in [(1, 1, (350, 525)), (4, 3, (97, 131))]:
        build_default, arguments = NETWORKS[name].build, {"num_classes": 5}
        model = build_default(in_channels=in_channels, spatial_dims=2, **arguments).eval()
        masks = parts(model(torch.randn(batch, in_channels, *size)))[0]
        assert masks.shape == (batch, 5, *size)
        assert masks.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_one_class_and_images_smaller_than_a_position_of_the_coarsest_map_will_do(name):
    model = build(name, num_classes=1, in_channels=1).eval()
    for size in [(1, 1), (5, 7), (1, 40)]:
        masks = parts(model(torch.randn(2, 1, *size)))[0]
        assert masks.shape == (2, 1, *size)
        assert masks.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_training_reaches_every_parameter(name):
    assert_trainable(name, (33, 40))


@pytest.mark.parametrize("name", cases(slow=SLOW))
def test_training_with_volumes_reaches_every_parameter(name):
    assert_trainable(name, (9, 10, 33))


def assert_trainable(name, size):
    model = build(name, spatial_dims=len(size)).train()
    masks, *others = parts(model(torch.randn(2, 2, *size)))
    mask = torch.randint(0, 5, (2, *size))
    loss = nn.functional.cross_entropy(masks, mask)
    sum((other.square().mean() for other in others), loss).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


# In SegNet rounding moves a maximum to the position beside it, and the value with it.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "segnet"])
@torch.no_grad()
def test_bfloat16_answers_as_float32_but_for_rounding(name):
    model = settle(build(name))
    x = torch.randn(2, 2, 40, 49)
    expected = parts(model(x))[0]
    half = parts(model.bfloat16()(x.bfloat16()))[0]
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).abs().max() <= 0.1 * expected.abs().max()


@pytest.mark.parametrize("name", cases(slow={"ynet_seg", "biopsy", "espnetv2_seg"}))
@torch.no_grad()
def test_the_exported_program_answers_alike(name):
    # Of the encoders a ResNet is exported soonest.
    more = {"encoder": "resnet18"} if small(name).get("encoder") == QUICK else {}
    model = settle(build(name, **more))
    x = torch.randn(2, 2, 33, 47)
    program = torch.export.export(model, (x,))
    for found, expected in zip(parts(program.module()(x)), parts(model(x)), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", [*SEGMENTERS, "espnetv2_seg_2018"])
def test_an_auxiliary_head_has_logits_of_the_same_size_and_learns(name):
    arguments = {"has_auxiliary": True} if name in SEGMENTERS else {}
    model = build(name, **arguments).train()
    logits, early = model.forward_with_auxiliary(torch.randn(2, 2, 33, 40))
    assert [part.shape for part in (logits, *early)] == [(2, 5, 33, 40)] * 2
    mask = torch.randint(0, 5, (2, 33, 40))
    sum(nn.functional.cross_entropy(part, mask) for part in (logits, *early)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_diagnosis_head_is_one_argument(name):
    model = build(name, num_labels=3, has_auxiliary=True).train()
    masks, labels, early = model.forward_with_auxiliary(torch.randn(2, 2, 33, 35))
    assert (masks.shape, labels.shape) == ((2, 5, 33, 35), (2, 3))
    assert [part.shape for part in early] == [(2, 5, 33, 35)]
    (masks.mean() + labels.mean() + early[0].mean()).backward()
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        masks, labels = model.eval()(torch.randn(1, 2, 20, 21))
    assert (masks.shape, labels.shape) == ((1, 5, 20, 21), (1, 3))


@pytest.mark.parametrize("name", SEGMENTERS)
def test_without_such_heads_there_are_no_such_parameters(name):
    with torch.device("meta"):
        plain, full = build(name), build(name, num_labels=3, has_auxiliary=True)
    joint = {f"segmenter.{key}" for key in plain.state_dict()}
    added = {key for key in full.state_dict() if key not in joint}
    assert joint < set(full.state_dict())
    assert {key.split(".")[0] for key in added} == {"segmenter", "diagnosis"}
    assert all(k.startswith(("segmenter.auxiliary.", "diagnosis.")) for k in added)
