"""Checkpoints that users hold are read as they are, or refused in a line; nothing is claimed."""

from collections import OrderedDict
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from atrous.errors import DataError
from atrous.networks.catalog import create
from atrous.networks.convert import convert_checkpoint


@cache
def resnet(num_classes: int = 7) -> nn.Module:
    torch.manual_seed(0)
    return models.resnet18(weights=None, num_classes=num_classes).eval()


@cache
def deeplab() -> nn.Module:
    torch.manual_seed(0)
    return models.get_model(
        "deeplabv3_resnet50", weights=None, weights_backbone=None, num_classes=5
    ).eval()


def state(num_classes: int = 7) -> dict[str, torch.Tensor]:
    return resnet(num_classes).state_dict()


def put(prefix: str, tensors) -> OrderedDict:
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


def optimiser() -> dict[str, object]:
    used = torch.optim.Adam(resnet().parameters())
    return used.state_dict()


def in_type(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in state().items()}


def uncounted() -> dict[str, torch.Tensor]:
    return {n: t for n, t in state().items() if not n.endswith("num_batches_tracked")}


def smp_unet() -> dict[str, torch.Tensor]:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet18", encoder_weights=None, classes=3).state_dict()


def timm_resnet() -> dict[str, torch.Tensor]:
    import timm

    return timm.create_model("resnet18", pretrained=False, num_classes=7).state_dict()


def mmseg() -> dict[str, object]:
    names = {"backbone.conv1.weight": torch.ones(64, 3, 7, 7)}
    more = {"decode_head.conv_seg.weight": torch.ones(5, 512, 1, 1)}
    return {"meta": {"epoch": 3, "classes": ["a"]}, "state_dict": {**names, **more}}


READ = {
    "plain": state,
    "module. once": lambda: put("module.", state()),
    "module. twice": lambda: put("module.module.", state()),
    "_orig_mod.": lambda: put("_orig_mod.", state()),
    "model.": lambda: put("model.", state()),
    "net.": lambda: put("net.", state()),
    "state_dict": lambda: {"state_dict": state()},
    "model": lambda: {"model": state()},
    "model_state_dict, optimiser": lambda: {
        "model_state_dict": state(),
        "optimizer_state_dict": optimiser(),
        "loss": 0.3,
    },
    "state_dict_ema": lambda: {"state_dict_ema": state()},
    "ema": lambda: {"ema": state()},
    "Lightning": lambda: {
        "epoch": 2,
        "pytorch-lightning_version": "2.4",
        "state_dict": put("model.", state()),
        "hyper_parameters": {"lr": 0.1, "classes": ["a", "b"]},
        "callbacks": {"best": {"score": torch.tensor(0.3)}},
    },
    "numpy scalars": lambda: {"state_dict": state(), "miou": np.float64(0.7), "n": np.int64(3)},
    "half precision": lambda: in_type(torch.float16),
    "bfloat16": lambda: in_type(torch.bfloat16),
    "double": lambda: in_type(torch.float64),
    "without num_batches_tracked": uncounted,
    "timm's ResNet": timm_resnet,
    "other class count": lambda: state(3),
}
"""Those of a ResNet-18, which must answer as torchvision's does."""

REFUSED = {
    "smp's U-Net": smp_unet,
    "mmseg's": mmseg,
    "a head besides": lambda: {**state(), "head2.weight": torch.ones(2, 512)},
    "a tensor short": lambda: {n: t for n, t in state().items() if n != "layer3.0.conv1.weight"},
    "encoder. alone": lambda: put("encoder.", {n: t for n, t in state().items() if n[:2] != "fc"}),
    "one shape otherwise": lambda: {**state(), "layer2.0.conv1.weight": torch.ones(9, 64, 3, 3)},
    "the whole module": resnet,
    "an optimiser alone": lambda: {"optimizer": optimiser()},
    "a list": lambda: [torch.ones(3)],
    "empty": dict,
    "our own network's": lambda: create("espnet", p=1, q=1).state_dict(),
}


@pytest.mark.parametrize("kind", READ)
def test_what_is_read_answers_as_it_did_and_claims_nothing(kind, tmp_path):
    tensors = READ[kind]()
    torch.save(tensors, tmp_path / "held.pth")
    found = convert_checkpoint(tmp_path / "held.pth")
    count = 3 if kind == "other class count" else 7
    expected = resnet(count)
    if kind == "timm's ResNet":
        expected = models.resnet18(weights=None, num_classes=7).eval()
        expected.load_state_dict(tensors)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        y, other = expected(x), found.network(x)
    loss = {"half precision": 2e-2, "bfloat16": 1e-1}.get(kind, 1e-4)
    assert other.dtype == torch.float32
    assert (other - y).abs().max() <= loss * y.abs().max()
    card = found.card
    assert (card.network, card.scores, card.licence) == ("resnet18", (), "")
    assert card.class_names == tuple(f"class {index}" for index in range(count))
    assert "nothing is published" in card.source


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_so_in_one_line(kind, tmp_path):
    torch.save(REFUSED[kind](), tmp_path / "held.pth")
    with pytest.raises(DataError) as refused:
        convert_checkpoint(tmp_path / "held.pth")
    message = str(refused.value)
    assert "\n" not in message
    assert "expected" in message or "does not fit" in message


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_a_segmenter_with_a_prefix_is_claimed_as_itself(prefix, tmp_path):
    torch.save({"state_dict": put(prefix, deeplab().state_dict())}, tmp_path / "held.pth")
    found = convert_checkpoint(tmp_path / "held.pth")
    x = torch.rand(1, 3, 33, 41)
    with torch.no_grad():
        y, other = deeplab()(x)["out"], found.network(x)
    assert (other - y).abs().max() <= 1e-4 * y.abs().max()
    assert (found.card.network, found.card.scores) == ("deeplabv3", ())


def test_safetensors_of_others_are_read_too(tmp_path):
    save_file(state(), tmp_path / "held.safetensors")
    found = convert_checkpoint(tmp_path / "held.safetensors")
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(found.network(x), resnet()(x), atol=1e-4)
    assert (found.card.network, found.card.scores) == ("resnet18", ())
