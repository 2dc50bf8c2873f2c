"""What holds for every classifier of the catalog; a new line there is tested without a new test.

All of them are looked at on the meta device, where shapes are worked out and nothing is computed.
What takes longer runs for the smallest of each family, and for the others where there is time.
"""

from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import nn

from atrous.errors import ShapeError
from atrous.networks.catalog import NETWORKS
from atrous.networks.classifiers.classifier import AuxiliaryClassifier, Classifier, replace_head

CLASSIFIERS = [name for name, entry in NETWORKS.items() if entry.task == "classification"]
FOR_IMAGES_ONLY = {"inception_v3"}
LARGEST_TO_COMPUTE = 30_000_000  # parameters


@cache
def on_meta(name: str, spatial_dims: int = 2) -> Classifier:
    with torch.device("meta"):
        factory = NETWORKS[name].build
        return factory(num_classes=5, in_channels=6, spatial_dims=spatial_dims).eval()


@cache
def num_parameters(name: str) -> int:
    return sum(p.numel() for p in on_meta(name).parameters())


def is_quick(name: str) -> bool:
    family = NETWORKS[name].build.__module__
    relatives = [other for other in CLASSIFIERS if NETWORKS[other].build.__module__ == family]
    smallest = min(relatives, key=num_parameters)
    return name == smallest and num_parameters(name) <= LARGEST_TO_COMPUTE


def cases(*dims: int, all_quick: tuple[int, ...] = ()) -> list[object]:
    return [
        pytest.param(
            name,
            number,
            marks=() if number in all_quick or is_quick(name) else pytest.mark.real,
            id=f"{name} {number}D",
        )
        for name in CLASSIFIERS
        for number in dims
        if number == 2 or name not in FOR_IMAGES_ONLY
    ]


def build(name: str, spatial_dims: int, *, in_channels: int = 2) -> Classifier:
    return NETWORKS[name].build(num_classes=5, in_channels=in_channels, spatial_dims=spatial_dims)


def image(model: Classifier, *, batch: int = 2) -> torch.Tensor:
    """The smallest input, but odd, and of another length along each axis."""
    encoder = model.encoder
    size = [encoder.minimum_size + more for more in (1, 2, 3)[-encoder.spatial_dims :]]
    return torch.randn(batch, encoder.in_channels, *size)


def settle(model: Classifier) -> Classifier:
    """In eval mode, with statistics as after some training: never 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize(("name", "dims"), cases(2, 3, all_quick=(2,)))
def test_maps_and_logits_are_as_declared_at_odd_sizes(name, dims):
    model = on_meta(name, dims)
    encoder = model.encoder
    assert list(encoder.reductions) == sorted(encoder.reductions)
    small = [encoder.minimum_size + step for step in range(dims)]
    large = [length + 32 * (axis + 1) for axis, length in enumerate(small)]
    images = [torch.empty(3, 6, *size, device="meta") for size in (small, large)]
    for before, after, channels, reduction in zip(
        *map(encoder, images), encoder.out_channels, encoder.reductions, strict=True
    ):
        assert before.shape[:2] == (3, channels)
        for axis in range(dims):
            # So many input pixels more, so many positions more: that is what reduction means.
            growth = after.shape[axis + 2] - before.shape[axis + 2]
            assert growth * reduction == 32 * (axis + 1)
            assert 1 <= before.shape[axis + 2] <= -(-small[axis] // reduction)
    assert model(images[0]).shape == (3, 5)


@pytest.mark.parametrize(("name", "dims"), cases(2, 3))
def test_training_reaches_every_parameter(name, dims):
    model = build(name, dims).train()
    logits = model(image(model, batch=3))
    assert logits.shape == (3, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 3, 4])).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(("name", "dims"), cases(2, 3))
@torch.no_grad()
def test_bfloat16_answers_as_float32_but_for_rounding(name, dims):
    model = settle(build(name, dims))
    x = image(model)
    expected = model(x)
    half = model.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).abs().max() <= 0.1 * expected.abs().max()


@pytest.mark.parametrize(("name", "dims"), cases(2))
@torch.no_grad()
def test_the_exported_program_answers_alike(name, dims):
    model = settle(build(name, dims))
    x = image(model)
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("name", sorted(FOR_IMAGES_ONLY))
def test_a_family_for_images_only_says_so(name):
    with pytest.raises(ShapeError, match="is for images only, but got spatial_dims=3"):
        NETWORKS[name].build(spatial_dims=3)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_inputs_that_do_not_fit_are_refused_by_what_they_are(name):
    model = on_meta(name)
    least = model.encoder.minimum_size
    assert least >= model.encoder.reductions[-1]
    with torch.device("meta"):
        with pytest.raises(ShapeError, match=rf"\({least - 1}, 90\), expected at least {least}"):
            model(torch.empty(1, 6, least - 1, 90))
        with pytest.raises(ShapeError, match=r"4 channels, expected 6 in \(B, C, H, W\)"):
            model(torch.empty(1, 4, 90, 90))
        with pytest.raises(ShapeError, match=r"\(6, 90, 90\), expected \(B, C, H, W\)"):
            model(torch.empty(6, 90, 90))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_new_head_keeps_everything_else(name):
    model = deepcopy(on_meta(name))
    before = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    replace_head(model, 9)
    after = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    changed = {key for key in before if before[key] != after.get(key)}
    assert changed == {"head.linear.weight", "head.linear.bias"}
    size = (model.encoder.minimum_size,) * 2
    assert model(torch.empty(1, 6, *size, device="meta")).shape == (1, 9)
    assert not model.head.linear.training


def test_a_new_head_has_the_old_ones_type_and_replaces_auxiliary_ones_too():
    model = NETWORKS["googlenet_torchvision"].build(num_classes=5, has_auxiliary=True).double()
    assert isinstance(model, AuxiliaryClassifier)
    kept = model.encoder.stages[0].conv1.conv.weight.clone()
    replace_head(model, 3)
    logits, early = model.eval().forward_with_auxiliary(torch.randn(1, 3, 64, 64).double())
    assert [tuple(t.shape) for t in (logits, *early)] == [(1, 3)] * 3
    assert logits.dtype == torch.float64
    assert torch.equal(model.encoder.stages[0].conv1.conv.weight, kept)


def test_a_head_without_classes_is_refused():
    with pytest.raises(ShapeError, match="at least one class, but got 0"):
        replace_head(on_meta("resnet18"), 0)
