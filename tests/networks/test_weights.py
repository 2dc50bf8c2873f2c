"""Weights with their card: the round trip, whole files only, and every kind of wrong file."""

import json

import pytest
import torch
from safetensors.torch import save_file

import atrous
from atrous.errors import AtrousError, DataError
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import load_weights, save_weights


def test_what_is_saved_comes_back(tiny_weights, tmp_path):
    first = load_weights(tiny_weights)
    save_weights(str(tmp_path / "again.safetensors"), first.network, first.card)
    second = load_weights(str(tmp_path / "again.safetensors"))
    assert second.card == first.card
    assert not second.network.training
    for key, tensor in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[key], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["again.safetensors"]


def test_equal_weights_are_equal_bytes(tiny_weights, tmp_path):
    """Two keys of metadata came in either order, as the library's hashes fell."""
    first = load_weights(tiny_weights)
    for number in range(8):
        save_weights(tmp_path / f"{number}.safetensors", first.network, first.card)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert (tmp_path / "0.safetensors").read_bytes() == tiny_weights.read_bytes()


def test_load_gives_network_card_and_predict(tiny_weights):
    predictor = atrous.load(tiny_weights)
    x = torch.rand(1, 3, 20, 30)
    assert predictor.network(x).shape == (1, 4, 20, 30)
    assert predictor.card.name == "espnet.tiny"
    assert predictor.predict(torch.rand(3, 20, 30)).mask.shape == (20, 30)


def test_a_network_of_another_shape_is_not_saved_under_the_card(tiny_weights, tmp_path):
    card = load_weights(tiny_weights).card
    other = build_network("espnet", {"num_classes": 5})
    with pytest.raises(DataError, match="do not fit espnet"):
        save_weights(tmp_path / "x.safetensors", other, card)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_card_is_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(DataError, match="holds tensors but no card"):
        load_weights(tmp_path / "bare.safetensors")


def test_a_torch_checkpoint_is_sent_to_convert(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"convert it first: atrous convert .*model\.pth"):
        load_weights(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_weights(tmp_path / "x.safetensors")


def test_a_truncated_file_is_refused(tiny_weights, tmp_path):
    content = tiny_weights.read_bytes()
    (tmp_path / "x.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_weights(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"expected a \.safetensors file"):
        load_weights(tmp_path / name)


def test_half_size_files_give_float32_networks_that_differ_by_rounding(tmp_path):
    network = build_network("residual_unet", {"width": 4, "num_stages": 2}).eval()
    card = Card(
        name="residual_unet.tiny",
        network="residual_unet",
        arguments={"width": 4, "num_stages": 2},
        task="segmentation",
        class_names=("a", "b", "c"),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
    )
    save_weights(tmp_path / "whole.safetensors", network, card)
    save_weights(tmp_path / "half.safetensors", network, card, is_half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.75 * sizes[0]
    loaded = load_weights(tmp_path / "half.safetensors").network.state_dict()
    for name, tensor in network.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded[name], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tiny_weights, tmp_path, number):
    weights = load_weights(tiny_weights)
    with torch.no_grad():
        next(weights.network.parameters()).view(-1)[0] = number
    save_weights(tmp_path / "broken.safetensors", weights.network, weights.card)
    with pytest.raises(DataError, match="holds NaN or infinity; expected finite numbers"):
        load_weights(tmp_path / "broken.safetensors")


def edited(path, target, change):
    """The file with its card changed by hand, whatever that makes of it."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    card = json.loads(head["__metadata__"]["atrous"])
    change(card)
    head["__metadata__"]["atrous"] = json.dumps(card)
    text = json.dumps(head).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return target


def test_altered_tensors_are_refused_by_their_checksum(tiny_weights, tmp_path):
    data = bytearray(tiny_weights.read_bytes())
    data[-2] ^= 1  # a number that is finite still
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(DataError, match="not those that were written"):
        load_weights(tmp_path / "x.safetensors")


def test_a_file_without_a_checksum_is_read(tiny_weights, tmp_path):
    data = tiny_weights.read_bytes()
    assert b"atrous_sha256" in data
    (tmp_path / "x.safetensors").write_bytes(data.replace(b"atrous_sha256", b"another_sha25"))
    assert load_weights(tmp_path / "x.safetensors").card == load_weights(tiny_weights).card


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "arguments", [{"q": 100_000_000}, {"num_classes": 4_000_000}, {"p": 10**9, "q": 10**9}]
)
def test_a_card_that_asks_for_more_than_the_tensors_is_refused_at_once(
    tiny_weights, tmp_path, arguments
):
    path = edited(
        tiny_weights, tmp_path / "x.safetensors", lambda card: card["arguments"].update(arguments)
    )
    with pytest.raises(DataError, match=r"x\.safetensors: .*(much larger|do not fit)"):
        load_weights(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(network=5),
        lambda card: card["arguments"].update(p="x"),
        lambda card: card["arguments"].update(p=[1]),
        lambda card: card["preprocessing"].update(mean=["a", 0, 0]),
        lambda card: card["preprocessing"].update(mean=[float("nan"), 0, 0]),
        lambda card: card["preprocessing"].update(std=[float("inf")] * 3),
        lambda card: card["preprocessing"].update(final_scale=[1.0]),
        lambda card: card["preprocessing"].update(size={}),
        lambda card: card["preprocessing"].update(size=[]),
        lambda card: card["preprocessing"].update(size=[1.5, 2]),
        lambda card: card.update(palette=[[0, 0, [0]]] * 4),
        lambda card: card.update(palette=[[0.5, 0, 0]] * 4),
        lambda card: card.update(palette=[[256, 0, 0]] * 4),
        lambda card: card.update(class_names=[{"x": 1}] * 4),
        lambda card: card.update(class_names=[1, "b", "c", "d"]),
        lambda card: card.update(scores=5),
        lambda card: card.update(divisor="x"),
    ],
)
def test_values_of_a_wrong_kind_are_one_line(tiny_weights, tmp_path, change):
    with pytest.raises(AtrousError):
        load_weights(edited(tiny_weights, tmp_path / "x.safetensors", change))
