"""The authors' ESPNetv2 classifiers: their names, their unused tensors, their outputs."""

import json
import zlib
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from atrous.errors import DataError
from atrous.networks.catalog import build_network
from atrous.networks.convert.espnetv2 import (
    convert_espnetv2_classifier,
    is_espnetv2_classifier,
)

# Channels of levels 1 to 5 and of the last convolution (SPEC 2.3).
CHANNELS = {
    "0.5": (16, 32, 64, 128, 256, 1024),
    "1.0": (32, 64, 128, 256, 512, 1024),
    "1.25": (32, 80, 160, 320, 640, 1024),
    "1.5": (32, 96, 192, 384, 768, 1024),
    "2.0": (32, 128, 256, 512, 1024, 1280),
}


def authors_shapes(scale: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the authors' file, written from SPEC 2.1 to 2.3 and 13.6."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def unit(name: str, shape: tuple[int, ...], *, has_act: bool = True) -> None:
        shapes[f"{name}.conv.weight"] = shape
        norm(f"{name}.bn", shape[0])
        if has_act:
            shapes[f"{name}.act.weight"] = (shape[0],)

    def eesp(name: str, channels_in: int, channels_out: int) -> None:
        n = channels_out // 4
        unit(f"{name}.proj_1x1", (n, channels_in // 4, 1, 1))
        for branch in range(4):
            shapes[f"{name}.spp_dw.{branch}.conv.weight"] = (n, 1, 3, 3)
        unit(f"{name}.conv_1x1_exp", (channels_out, n, 1, 1), has_act=False)
        norm(f"{name}.br_after_cat.bn", channels_out)
        shapes[f"{name}.br_after_cat.act.weight"] = (channels_out,)
        shapes[f"{name}.module_act.weight"] = (channels_out,)

    *levels, last = CHANNELS[scale]
    unit("level1", (levels[0], 3, 3, 3))
    for level, repeats in ((2, 0), (3, 3), (4, 7), (5, 3)):
        before, channels = levels[level - 2], levels[level - 1]
        down = f"level{level}_0"
        eesp(f"{down}.eesp", before, channels - before)
        unit(f"{down}.inp_reinf.0", (3, 3, 3, 3))
        unit(f"{down}.inp_reinf.1", (channels, 3, 1, 1), has_act=False)
        shapes[f"{down}.act.weight"] = (channels,)
        for block in range(repeats):
            eesp(f"level{level}.{block}", channels, channels)
    unit("level5.3", (levels[4], 1, 3, 3))
    unit("level5.4", (last, levels[4] // 4, 1, 1))
    shapes["classifier.weight"] = (1000, last)
    shapes["classifier.bias"] = (1000,)
    return shapes


def rule_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Weights that the reference was run with: a function of each tensor's name (SPEC 14)."""
    state = {}
    for key, shape in shapes.items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        has_statistics = f"{key.rpartition('.')[0]}.running_mean" in shapes
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        if key.endswith("running_var"):
            value = generator.uniform(0.5, 1.5, shape)
        elif key.endswith(("running_mean", "bias")):
            value = 0.1 * generator.standard_normal(shape)
        elif len(shape) == 1:
            value = generator.uniform(*((0.5, 1.5) if has_statistics else (0.05, 0.45)), shape)
        else:
            value = generator.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return state


def digest(state: dict[str, torch.Tensor]) -> str:
    total = sha256()
    for key in sorted(state):
        total.update(key.encode())
        total.update(state[key].numpy().tobytes())
    return total.hexdigest()[:16]


@pytest.mark.parametrize("scale", CHANNELS)
def test_every_width_is_recognised_and_loads(scale):
    shapes = authors_shapes(scale)
    assert len(shapes) == 487
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    assert is_espnetv2_classifier(state)
    name, arguments, tensors = convert_espnetv2_classifier(state)
    assert name == f"espnetv2_{scale.replace('.', '_')}"
    assert arguments == {"num_classes": 1000, "in_channels": 3}
    with torch.device("meta"):
        network = build_network(name, arguments)
    assert {key: tuple(t.shape) for key, t in tensors.items()} == {
        key: tuple(t.shape) for key, t in network.state_dict().items()
    }


def test_what_the_authors_never_use_is_left_out_and_nothing_else():
    state = rule_weights(authors_shapes("0.5"))
    _, _, tensors = convert_espnetv2_classifier(state)
    unused = [
        key for key in state if "_0.eesp.module_act" in key or key.startswith("level5_0.inp_reinf")
    ]
    assert len(tensors) == len(state) - len(unused)
    taken = {t.data_ptr() for t in tensors.values()}
    assert all(state[key].data_ptr() not in taken for key in unused)


def test_the_prefix_of_2018_changes_nothing():
    state = rule_weights(authors_shapes("0.5"))
    prefixed = {f"module.{key}": value for key, value in state.items()}
    assert is_espnetv2_classifier(prefixed)
    name, arguments, tensors = convert_espnetv2_classifier(state)
    assert convert_espnetv2_classifier(prefixed) == (name, arguments, tensors)


def test_files_without_counters_load():
    state = rule_weights(authors_shapes("0.5"))
    old = {key: value for key, value in state.items() if "num_batches" not in key}
    name, arguments, tensors = convert_espnetv2_classifier(old)
    build_network(name, arguments).load_state_dict(tensors)


def test_a_segmentation_network_is_not_taken_for_a_classifier():
    shapes = {f"base_net.{k}": v for k, v in authors_shapes("0.5").items() if "level5" not in k}
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    assert not is_espnetv2_classifier(state)
    with pytest.raises(DataError, match="expected an ESPNetv2 classifier"):
        convert_espnetv2_classifier(state)


def test_a_width_that_is_not_in_the_catalog_is_named():
    state = rule_weights(authors_shapes("0.5"))
    state["level1.conv.weight"] = torch.zeros(8, 3, 3, 3)
    with pytest.raises(DataError, match="8 and 32 channels"):
        convert_espnetv2_classifier(state)


def test_a_tensor_of_another_network_is_named():
    state = {**rule_weights(authors_shapes("0.5")), "level3.0.gate.weight": torch.zeros(1)}
    with pytest.raises(DataError, match=r"'level3.0.gate.weight' that espnetv2_0_5 has not"):
        convert_espnetv2_classifier(state)


@pytest.mark.real
@pytest.mark.parametrize(
    "case",
    ["cls_espnetv2_s0.5", "cls_espnetv2_s1.0", "cls_espnetv2_s1.0_64x96", "cls_espnetv2_s2.0"],
)
@torch.no_grad()
def test_outputs_are_those_of_the_authors_network(case: str, shared: Path):
    reference = shared / "reference"
    manifest = json.loads((reference / "MANIFEST.json").read_text())
    entry = next(entry for entry in manifest["entries"] if entry["name"] == case)
    scale = case.removeprefix("cls_espnetv2_s").partition("_")[0]
    shapes = authors_shapes(scale)
    if entry["keys_shapes"] is not None:
        assert shapes == {key: tuple(shape) for key, shape in entry["keys_shapes"].items()}
    state = rule_weights(shapes)
    assert digest(state) == entry["state_dict_sha"]

    name, arguments, tensors = convert_espnetv2_classifier(state)
    network = build_network(name, arguments).eval()
    network.load_state_dict(tensors)
    seed, shape = entry["input"]["seed"], entry["input"]["shape"]
    generator = np.random.Generator(np.random.PCG64(seed))
    x = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
    expected = torch.from_numpy(np.load(reference / entry["file"])["y"])
    assert (network(x) - expected).abs().max() <= 1e-4 * expected.abs().max()
