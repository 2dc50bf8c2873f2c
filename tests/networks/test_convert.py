"""Converting checkpoints: what the tensors tell, and what is refused without being run."""

import pickle
from pathlib import Path

import pytest
import torch

from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.networks.convert import FAMILIES, convert_checkpoint
from atrous.networks.convert.espnet import convert_espnet, is_espnet
from atrous.networks.convert.origin import CheckpointInfo
from atrous.networks.convert.read import read_checkpoint, unwrapped
from atrous.networks.weights import load_weights, save_weights

FILES = [
    ("decoder/espnet_p_2_q_3.pth", "espnet", 3, 20, False, "espnet.cityscapes_authors"),
    ("decoder/espnet_p_2_q_8.pth", "espnet", 8, 20, False, "espnet.cityscapes_authors"),
    ("decoder/espnet_p_2_q_8_camvid.pth", "espnet", 8, 12, True, "espnet.camvid_authors"),
    ("encoder/espnet_p_2_q_3.pth", "espnet_c", 3, 20, None, "espnet_c.cityscapes_authors"),
    ("encoder/espnet_p_2_q_8.pth", "espnet_c", 8, 20, None, "espnet_c.cityscapes_authors"),
]

# Sizes are (H, W); the last column is the authors' mean IoU, where they print one (SPEC 11).
SEGMENTATION_FILES = [
    ("espnetv2_s_0.5_city_1024x512", "0_5", "cityscapes", (512, 1024), 53.9),
    ("espnetv2_s_0.5_city_512x256", "0_5", "cityscapes", (256, 512), 47.3),
    ("espnetv2_s_0.5_pascal_256x256", "0_5", "voc", (256, 256), 39.82),
    ("espnetv2_s_0.5_pascal_384x384", "0_5", "voc", (384, 384), 47.18),
    ("espnetv2_s_1.0_city_1024x512", "1_0", "cityscapes", (512, 1024), 60.1),
    ("espnetv2_s_1.0_city_512x256", "1_0", "cityscapes", (256, 512), 52.2),
    ("espnetv2_s_1.0_pascal_256x256", "1_0", "voc", (256, 256), 54.14),
    ("espnetv2_s_1.0_pascal_384x384", "1_0", "voc", (384, 384), 60.22),
    ("espnetv2_s_2.0_city_1024x512", "2_0", "cityscapes", (512, 1024), 66.4),
    ("espnetv2_s_2.0_city_512x256", "2_0", "cityscapes", (256, 512), None),
    ("espnetv2_s_2.0_pascal_256x256", "2_0", "voc", (256, 256), 63.36),
    ("espnetv2_s_2.0_pascal_384x384", "2_0", "voc", (384, 384), 67.01),
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
    state = read_checkpoint(shared / "weights/espnet/decoder/espnet_p_2_q_8_camvid.pth").state
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
    held = read_checkpoint(tmp_path / "x.pth")
    assert [list(state) for state in unwrapped(held.state)] == [["module.a"], ["a"]]


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
    state = read_checkpoint(shared / "weights/espnet/encoder/espnet_p_2_q_3.pth").state
    del state["classifier.conv.weight"]
    assert is_espnet(state)
    with pytest.raises(DataError, match=r"lacks \['classifier\.conv\.weight'\]"):
        convert_espnet(state)


@pytest.mark.real
@pytest.mark.parametrize(("file", "width", "data", "size", "miou"), SEGMENTATION_FILES)
def test_the_published_espnetv2_files_tell_what_they_are(shared, file, width, data, size, miou):
    card = convert_checkpoint(shared / "weights" / "espnetv2" / f"{file}.pth").card
    num_classes = {"voc": 21, "cityscapes": 20}[data]
    assert card.arguments == {
        "num_classes": num_classes,
        "in_channels": 3,
        "width": width,
        "decoder_width": 16,
    }
    assert card.name == f"espnetv2_seg.{data}_{width}_{size[1]}x{size[0]}_authors"
    assert len(card.class_names) == num_classes
    assert card.void_class == {"voc": None, "cityscapes": 19}[data]
    facts = card.preprocessing
    assert (facts.channel_order, facts.value_range, facts.size) == ("RGB", 1.0, size)
    assert facts.interpolation == "bilinear_antialias"
    assert facts.steps[0] == "resize"
    assert [score.value for score in card.scores] == ([] if miou is None else [miou])


@pytest.mark.real
@pytest.mark.parametrize(("scale", "width"), [("0.5", "0_5"), ("1.0", "1_0")])
def test_the_files_of_2018_are_fed_as_espnet_is(shared, scale, width):
    folder = shared / "weights"
    card = convert_checkpoint(
        folder / "espnetv2_2018" / f"espnetv2_segmentation_s_{scale}.pth"
    ).card
    espnet = convert_checkpoint(folder / "espnet" / "encoder" / "espnet_p_2_q_3.pth").card
    assert card.network == "espnetv2_seg_2018"
    assert card.arguments == {"num_classes": 20, "in_channels": 3, "width": width}
    assert card.preprocessing == espnet.preprocessing
    assert card.labels == espnet.labels


@pytest.mark.real
def test_a_file_of_another_name_has_the_size_that_its_numbers_were_published_with(shared, tmp_path):
    source = shared / "weights" / "espnetv2"
    for data, size in (("city_512x256", (256, 512)), ("pascal_256x256", (256, 256))):
        path = tmp_path / f"{data.partition('_')[0]}.pth"
        path.write_bytes((source / f"espnetv2_s_0.5_{data}.pth").read_bytes())
        assert convert_checkpoint(path).card.preprocessing.size == size


@pytest.mark.real
@pytest.mark.parametrize(
    "file",
    [
        "espnet/decoder/espnet_p_2_q_8_camvid.pth",
        "espnetv2/espnetv2_s_0.5_city_512x256.pth",
        "espnetv2_2018/espnetv2_segmentation_s_0.5.pth",
    ],
)
def test_a_size_that_is_given_is_the_cards(shared, file):
    weights = convert_checkpoint(shared / "weights" / file, size=(128, 192))
    assert weights.card.preprocessing.size == (128, 192)
    assert weights.card.scores == ()  # they were published for another


@pytest.mark.parametrize("size", [(0, 16), ()])
def test_a_size_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(ShapeError, match="expected lengths of at least 1"):
        convert_checkpoint(tmp_path / "x.pth", size=size)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ynet_stage2_ResNetC1_YNet", "ynet_c1.pth"),
        ("ynet_stage1_ResNetD1", "model_D1.pth"),
        ("espnet3d_res_none", "espnet_3d_brats.pth"),
    ],
)
def test_networks_whose_files_are_lost_convert_and_load_again(
    reference, rule_weights, tmp_path, name, file
):
    # Under the authors' names, with weights made by rule: their own files are no longer public.
    torch.save(rule_weights(reference.shapes(name)), tmp_path / file)
    data = "breast_biopsy" if "ynet" in name else "brats"
    weights = convert_checkpoint(tmp_path / file, data=data)
    save_weights(tmp_path / "x.safetensors", weights.network, weights.card)
    card = load_weights(tmp_path / "x.safetensors").card
    assert card == weights.card
    assert card.arguments["align_corners"] is True
    assert card.preprocessing.size is None
    if "ynet" in name:
        assert card.class_names[2] == "malignant epithelium"
        assert card.preprocessing.channel_order == "BGR"
    else:
        assert card.class_names[3] == "enhancing tumour"
        assert len(card.preprocessing.mean) == 4


@pytest.mark.real
def test_every_file_is_of_one_family_only(shared, reference, rule_weights):
    states = [read_checkpoint(path).state for path in (shared / "weights").rglob("*.pth")]
    states += [
        rule_weights(reference.shapes(name))
        for name in ("ynet_stage1_ResNetC1", "ynet_stage2_ResNetD1_YNet", "espnet3d_res_none")
    ]
    assert len(states) == 22
    for state in states:
        assert sum(family.matches(state) for family in FAMILIES.values()) == 1


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("espnetv2_s_2.0_city_1024x512.pth", (512, 1024)),
        ("my_640x480_net.pth", (480, 640)),
        ("espnetv2_segmentation_s_0.5.pth", None),
        ("net_1x1.pth", None),
    ],
)
def test_a_size_in_a_files_name_is_width_by_height(name, size):
    assert CheckpointInfo(path=Path(name)).size_in_name == size


def test_data_are_told_by_the_classes_unless_they_are_named():
    known = {20: "cityscapes", 21: "voc"}
    path = Path("x.pth")
    assert CheckpointInfo(path=path).training_data("net", 21, by_classes=known) == "voc"
    assert CheckpointInfo(path=path, data="voc").training_data("net", 7, by_classes=known) == "voc"
    with pytest.raises(DataError, match=r"7 classes.*20 would be cityscapes, 21 would be voc"):
        CheckpointInfo(path=path).training_data("net", 7, by_classes=known)
    with pytest.raises(UnknownNameError, match="training data of net is named 'camvid'"):
        CheckpointInfo(path=path, data="camvid").training_data("net", 20, by_classes=known)
