"""Published weights by name: converted and kept; without a network, a line that says what to do."""

import pytest
import torch
from torchvision import models
from torchvision.models._api import WeightsEnum

from atrous.errors import DataError, UnknownNameError
from atrous.inference import load
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert.fetch import fetch_weights


@pytest.fixture
def offline(monkeypatch):
    """torchvision's loader as it is without a network."""

    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)


@pytest.fixture
def theirs(monkeypatch):
    """A random torchvision network, whose tensors stand in for the published ones."""
    model = models.shufflenet_v2_x0_5(weights=None).eval()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: model.state_dict())
    return model


def test_fetched_weights_are_converted_and_kept(theirs, tmp_path, monkeypatch):
    path = fetch_weights("shufflenet_v2_x0_5", "torchvision:IMAGENET1K_V1", cache=tmp_path)
    predictor = load(path)
    assert predictor.card.task == "classification"
    # FACTS B6 quotes torchvision's own metadata.
    assert {s.metric: s.value for s in predictor.card.scores}["acc@1"] == pytest.approx(60.552)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs(x)
        assert torch.allclose(predictor.network(x), expected, atol=1e-5)

    def fail(*_, **__):
        raise AssertionError("fetched again")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    assert fetch_weights("shufflenet_v2_x0_5", "torchvision:IMAGENET1K_V1", cache=tmp_path) == path


def test_preprocessing_equals_torchvisions_own(theirs, tmp_path):
    path = fetch_weights("shufflenet_v2_x0_5", "torchvision:IMAGENET1K_V1", cache=tmp_path)
    predictor = load(path)
    image = torch.rand(3, 301, 402)
    preset = models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1.transforms()
    with torch.no_grad():
        expected = theirs(preset(image)[None]).softmax(1)[0]
    ours = predictor.predict(image)
    assert torch.allclose(ours.label_probabilities, expected, atol=1e-5)
    assert ours.top(1)[0][0] == ours.class_names[int(expected.argmax())]
    assert len(set(ours.class_names)) > 990  # ImageNet has two cranes and two maillots


@pytest.mark.usefixtures("offline")
def test_without_a_network_it_says_what_to_fetch(tmp_path):
    with pytest.raises(DataError, match=r"resnet50-.*\.pth could not be fetched .* atrous convert"):
        fetch_weights("resnet50", "torchvision:IMAGENET1K_V2", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "source", "message"),
    [
        ("resnet50", "torchvision:IMAGENET1K_V9", "torchvision weights of resnet50"),
        ("resnet50", "hub:x", "source of weights"),
        ("resnet55", "torchvision:IMAGENET1K_V1", "Did you mean 'resnet50'"),
    ],
)
def test_unknown_names_are_refused(network, source, message, tmp_path):
    with pytest.raises(UnknownNameError, match=message):
        fetch_weights(network, source, cache=tmp_path)


@pytest.mark.parametrize("network", ["googlenet", "espnetv2_1_0", "shufflenet_v1_g3"])
def test_networks_that_torchvision_has_not_are_refused(network, tmp_path):
    with pytest.raises(DataError, match="torchvision has no weights for"):
        fetch_weights(network, "torchvision:IMAGENET1K_V1", cache=tmp_path)


def test_a_torchvision_file_converts_by_its_tensors(tmp_path):
    model = models.resnet18(weights=None, num_classes=7).eval()
    torch.save(model.state_dict(), tmp_path / "mine.pth")
    weights = convert_checkpoint(tmp_path / "mine.pth")
    assert weights.card.network == "resnet18"
    assert weights.card.class_names[:2] == ("class 0", "class 1")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(weights.network(x), model(x), atol=1e-5)
