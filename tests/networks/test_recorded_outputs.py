"""Every recorded case of the original networks: ours answer alike, or it is named with why not.

The cases are read from the manifest, so that one that is added there is tested here.
"""

import json
import os
from pathlib import Path

import pytest
import torch

from atrous.networks.catalog import build_network
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert.espnet3d import convert_espnet3d
from atrous.networks.convert.ynet import convert_ynet

CHECKPOINTS = {
    "ESPNet": "espnet/decoder",
    "ESPNet-C": "espnet/encoder",
    "EdgeNets-espnetv2-seg": "espnetv2",
    "ESPNetv2-2018-seg": "espnetv2_2018",
}
"""Families with files of the authors, and the folder that holds them."""

BY_RULE = {"YNet": convert_ynet, "3D-ESPNet": convert_espnet3d}
"""Families whose weights are a function of each tensor's name, and how they are converted."""

ELSEWHERE = {
    "EdgeNets-espnetv2-cls": "test_convert_espnetv2.py",
}
NOT_BUILT = {
    "EdgeNets-dicenet-seg": "DiCENet is no network of the lecture",
    "EdgeNets-dicenet-cls": "DiCENet is no network of the lecture",
    "EdgeNets-shufflenetv2-cls": "ours is torchvision's ShuffleNetV2, this one has other blocks",
}
WITHOUT_INPUT = {
    "espnet_camvid_q8_real_0001TP_008550": "its image is of CamVid's test split, not handed over",
}
RAW_INPUTS = {"ESPNet", "ESPNet-C", "ESPNetv2-2018-seg"}
"""Families whose inputs are 0.005 times the recorded draw: they divide by 255 after the rest."""


def entries() -> list[dict]:
    """The manifest's entries; none where nothing is shared."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    path = Path(os.environ.get("ATROUS_SHARED", beside)) / "reference" / "MANIFEST.json"
    return json.loads(path.read_text())["entries"] if path.is_file() else []


def cases(families) -> list[str]:
    return [
        entry["name"]
        for entry in entries()
        if entry["family"] in families and entry["name"] not in WITHOUT_INPUT
    ]


@pytest.mark.real
def test_every_recorded_case_is_tested_or_named(reference):
    known = {*CHECKPOINTS, *BY_RULE, *ELSEWHERE, *NOT_BUILT}
    assert {entry["family"] for entry in reference.entries.values()} == known
    assert set(WITHOUT_INPUT) <= set(reference.entries)
    tested = cases({*CHECKPOINTS, *BY_RULE})
    prefixes = ("espnet", "edgenets_espnetv2_", "oldespnetv2_", "ynet_", "espnet3d_")
    assert {name for name in reference.entries if name.startswith(prefixes)} == {
        *tested,
        *WITHOUT_INPUT,
    }


@pytest.mark.real
@pytest.mark.parametrize("case", cases(CHECKPOINTS))
def test_the_authors_weights_give_the_originals_outputs(case, reference, shared):
    recorded = reference[case]
    family = recorded.entry["family"]
    file = recorded.entry["checkpoint"]["path"].rpartition("/")[2]
    network = convert_checkpoint(shared / "weights" / CHECKPOINTS[family] / file).network
    x = recorded.input(factor=0.005 if family in RAW_INPUTS else 1.0)
    with torch.inference_mode():
        if family == "ESPNet-C":
            recorded.check(network.coarse_logits(x))
        elif family == "ESPNetv2-2018-seg":
            logits, [auxiliary] = network.forward_with_auxiliary(x)
            recorded.check(logits, auxiliary)
        else:
            recorded.check(network(x))


@pytest.mark.real
@pytest.mark.parametrize("case", cases(BY_RULE))
def test_weights_by_rule_give_the_originals_outputs(case, reference, rule_weights, digest):
    recorded = reference[case]
    family, fingerprint = recorded.entry["family"], recorded.entry["state_dict_sha"]
    # Cases of one network list its tensors once.
    shapes = next(
        reference.shapes(name)
        for name, entry in reference.entries.items()
        if entry.get("state_dict_sha") == fingerprint and entry["keys_shapes"]
    )
    state = rule_weights(shapes)
    assert digest(state) == fingerprint
    name, arguments, tensors = BY_RULE[family](state)
    network = build_network(name, {**arguments, "align_corners": case.endswith("alignTrue")})
    network.load_state_dict(tensors)
    network.eval()
    x = recorded.input(is_uniform=True)
    with torch.inference_mode():
        if "res_48" in case:
            recorded.check(network(x, working_size=(48, 48, 48)))
        else:
            y = network(x)
            recorded.check(*(y if isinstance(y, tuple) else (y,)))
