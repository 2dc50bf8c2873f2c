"""Weights that users hold: what is read of them, and that nothing is claimed that is not known."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torchvision import models

from atrous.errors import DataError, UnknownNameError
from atrous.networks.convert import convert, convert_checkpoint
from atrous.networks.convert.own_card import Said
from atrous.networks.convert.published import torchvision_weights
from atrous.networks.convert.read import read_checkpoint


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return models.resnet18(weights=None, num_classes=12).eval()


def prefixed(state, prefix):
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


HOLDERS = {
    "plain": lambda state: state,
    "data parallel": lambda state: prefixed(state, "module."),
    "twice": lambda state: {"state_dict": prefixed(state, "module.module.")},
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "compiled and parallel": lambda state: {"model": prefixed(state, "_orig_mod.module.")},
    "lightning": lambda state: {
        "state_dict": {**prefixed(state, "model."), "criterion.weight": torch.ones(12)},
        "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [{}],
    },
    "net": lambda state: {"model_state_dict": prefixed(state, "net.")},
    "moving average": lambda state: {"state_dict_ema": state},
    "averaged model": lambda state: {
        "model_ema": {**prefixed(state, "module."), "n_averaged": torch.tensor(3)}
    },
    "with a numpy score": lambda state: {
        "epoch": 3,
        "state_dict": state,
        "optimizer": {"state": {}},
        "iou": np.float64(0.6),
        "best": np.float32(0.5),
        "step": np.int64(7),
    },
    "numbers among tensors": lambda state: {**state, "epoch": 3},
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_wraps_the_tensors_changes_nothing(resnet, tmp_path, holder):
    path = tmp_path / "mine.pth"
    torch.save(HOLDERS[holder](resnet.state_dict()), path)
    found = convert(path, data=None, size=None, said=Said(), key=None)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(found.weights.network(x), resnet(x), atol=1e-5)
    assert "not published" in found.notes[0]
    card = found.weights.card
    assert card.class_names == tuple(f"class {index}" for index in range(12))
    assert card.scores == ()


def test_of_two_state_dicts_the_other_is_taken_by_its_key(resnet, tmp_path):
    other = {name: torch.zeros_like(tensor) for name, tensor in resnet.state_dict().items()}
    path = tmp_path / "both.pth"
    torch.save({"state_dict": resnet.state_dict(), "state_dict_ema": other}, path)
    held = read_checkpoint(path)
    assert (held.key, held.others) == ("state_dict", ("state_dict_ema",))
    assert held.state["fc.weight"].any()
    assert not read_checkpoint(path, key="state_dict_ema").state["fc.weight"].any()
    with pytest.raises(UnknownNameError, match="Did you mean 'state_dict_ema'"):
        read_checkpoint(path, key="state_dict_emma")


def test_the_owner_says_what_is_not_known(resnet, tmp_path):
    torch.save(resnet.state_dict(), tmp_path / "x.pth")
    names = tuple("abcdefghijkl")
    card = convert_checkpoint(
        tmp_path / "x.pth",
        class_names=names,
        mean=(100, 110, 120),
        std=(50, 60, 70),
        channel_order="BGR",
        value_range=255,
    ).card
    facts = card.preprocessing
    assert card.class_names == names
    assert (facts.channel_order, facts.value_range) == ("BGR", 255)
    assert (facts.mean, facts.std) == ((100, 110, 120), (50, 60, 70))
    for wrong in (
        {"class_names": ("a",)},
        {"mean": (0.5,) * 3},
        {"mean": (100,) * 3, "std": (50,) * 3},
        {"channel_order": "BGR"},
        {"mean": (0.5,), "std": (0.5,)},
    ):
        with pytest.raises(DataError, match=r"expected|give them"):
            convert_checkpoint(tmp_path / "x.pth", **wrong)


@pytest.mark.real
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": prefixed(s, "model.")}])
def test_published_numbers_are_known_in_any_file(shared, tmp_path, wrap):
    path = shared / "weights/espnet/decoder/espnet_p_2_q_8_camvid.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    torch.save(wrap(state), tmp_path / "renamed.pth")
    card = convert_checkpoint(tmp_path / "renamed.pth").card
    assert card.class_names[-1] == "Unlabelled"
    assert [score.value for score in card.scores] == [55.64, 68.3]

    other = OrderedDict(state)
    other["classifier.weight"] = state["classifier.weight"] + 1e-3
    torch.save(wrap(other), tmp_path / "organs.pth")
    card = convert_checkpoint(tmp_path / "organs.pth").card
    assert card.class_names[0] == "class 0"
    assert card.scores == ()
    assert card.preprocessing.channel_order == "RGB"
    said = convert_checkpoint(tmp_path / "organs.pth", data="camvid").card
    assert said.preprocessing.channel_order == "BGR"
    assert (said.class_names[0], said.scores) == ("Sky", ())


SIZED = [
    (network, tag)
    for network in ("shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "resnet50")
    for tag in torchvision_weights(network)
]


@pytest.mark.parametrize(("network", "tag"), SIZED)
def test_both_doors_have_torchvisions_own_sizes(network, tag, tmp_path, monkeypatch):
    from atrous.networks.convert.fetch import fetch_weights
    from atrous.networks.weights import load_weights

    weights = torchvision_weights(network)[tag]
    preset = weights.transforms()
    with torch.device("meta"):
        shapes = models.get_model(network, weights=None).state_dict()
    state = {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in shapes.items()}
    path = tmp_path / weights.url.rpartition("/")[2]
    torch.save(state, path)
    card = convert_checkpoint(path).card
    expected = (preset.resize_size[0], (preset.crop_size[0],) * 2)
    assert (card.preprocessing.shorter_side, card.preprocessing.size) == expected
    assert card.class_names[0] == "class 0"  # its bytes are not the published
    assert card.scores == ()
    if network.startswith("shuffle"):
        monkeypatch.setattr(type(weights), "get_state_dict", lambda *_, **__: state)
        fetched = load_weights(fetch_weights(network, f"torchvision:{tag}", cache=tmp_path)).card
        assert (fetched.preprocessing.shorter_side, fetched.preprocessing.size) == expected
        assert fetched.class_names[0] == "tench"


@pytest.mark.parametrize(
    "name", ["fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"]
)
def test_torchvisions_segmenters_answer_as_they_do_there(name, tmp_path):
    torch.manual_seed(0)
    more = {} if "lraspp" in name else {"aux_loss": True}
    theirs = models.get_model(name, weights=None, weights_backbone=None, num_classes=5, **more)
    theirs.eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.weight.data.uniform_(0.5, 1.5)
    torch.save({"model": theirs.state_dict()}, tmp_path / "mine.pth")
    weights = convert_checkpoint(tmp_path / "mine.pth")
    x = torch.rand(1, 3, 49, 35)
    with torch.no_grad():
        expected, found = theirs(x)["out"], weights.network(x)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert weights.card.class_names[0] == "class 0"
