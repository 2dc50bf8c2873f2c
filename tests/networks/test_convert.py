"""Converting checkpoints: what the tensors tell, and what is refused without being run."""

import pickle
from pathlib import Path

import pytest
import torch

from atrous.errors import DataError, UnknownNameError
from atrous.networks.checkpoint import read_checkpoint
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert_espnet import convert_espnet, is_espnet

FILES = [
    ("decoder/espnet_p_2_q_3.pth", "espnet", 3, 20, False, "espnet.cityscapes_authors"),
    ("decoder/espnet_p_2_q_8.pth", "espnet", 8, 20, False, "espnet.cityscapes_authors"),
    ("decoder/espnet_p_2_q_8_camvid.pth", "espnet", 8, 12, True, "espnet.camvid_authors"),
    ("encoder/espnet_p_2_q_3.pth", "espnet_c", 3, 20, None, "espnet_c.cityscapes_authors"),
    ("encoder/espnet_p_2_q_8.pth", "espnet_c", 8, 20, None, "espnet_c.cityscapes_authors"),
]


@pytest.mark.real
@pytest.mark.parametrize(("file", "network", "q", "num_classes", "joins", "name"), FILES)
def test_the_published_files_tell_what_they_are(shared, file, network, q, num_classes, joins, name):
    weights = convert_checkpoint(shared / "weights" / "espnet" / file)
    expected = {"num_classes": num_classes, "in_channels": 3, "p": 2, "q": q}
    if joins is not None:
        expected["joins_image_in_skip"] = joins
    assert weights.card.network == network
    assert weights.card.arguments == expected
    assert weights.card.name == name
    assert len(weights.card.class_names) == num_classes


@pytest.mark.real
def test_every_tensor_of_the_file_is_used(shared):
    state = read_checkpoint(shared / "weights/espnet/decoder/espnet_p_2_q_8_camvid.pth")
    _, _, renamed = convert_espnet(state)
    counters = [key for key in renamed if key.endswith("num_batches_tracked")]
    assert len(state) == 189  # SPEC 1.4
    assert len(renamed) == len(state) + len(counters)


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("ran_the_pickle"),))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Malicious()))
    torch.save({"state_dict": Malicious()}, tmp_path / "evil_zip.pth")
    for name in ("evil.pth", "evil_zip.pth"):
        with pytest.raises(DataError, match="refused"):
            convert_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran_the_pickle").exists()


@pytest.mark.parametrize("content", [b"", b"hello there", b"PK\x03\x04 not a zip", b"\x80\x02"])
def test_files_that_are_no_checkpoints_are_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(DataError, match="torch checkpoint"):
        convert_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("held", [{}, [1, 2], {"epoch": 3}, torch.zeros(3)])
def test_checkpoints_without_a_state_dict_are_refused(tmp_path, held):
    torch.save(held, tmp_path / "x.pth")
    with pytest.raises(DataError, match="expected a state dict"):
        convert_checkpoint(tmp_path / "x.pth")


def test_a_wrapped_state_dict_is_opened_and_its_prefix_taken_off(tmp_path):
    torch.save({"state_dict": {"module.a": torch.ones(2)}, "epoch": 7}, tmp_path / "x.pth")
    assert list(read_checkpoint(tmp_path / "x.pth")) == ["a"]


def test_an_unknown_network_is_named_by_its_first_tensor(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"not known, the first being 'features\.0\.weight'"):
        convert_checkpoint(tmp_path / "x.pth")


@pytest.mark.real
def test_other_training_data_than_the_known_is_refused(shared):
    path = shared / "weights/espnet/encoder/espnet_p_2_q_3.pth"
    with pytest.raises(UnknownNameError, match="Did you mean 'cityscapes'"):
        convert_checkpoint(path, data="cityscape")


@pytest.mark.real
def test_an_espnet_that_lacks_tensors_is_refused(shared):
    state = read_checkpoint(shared / "weights/espnet/encoder/espnet_p_2_q_3.pth")
    del state["classifier.conv.weight"]
    assert is_espnet(state)
    with pytest.raises(DataError, match=r"lacks \['classifier\.conv\.weight'\]"):
        convert_espnet(state)
