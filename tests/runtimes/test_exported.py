"""Exported files: they answer as the network, everywhere that takes weights, or are refused."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("onnxscript", reason="needs the extra export")
onnx = pytest.importorskip("onnx", reason="needs the extra export")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")

from atrous.errors import DataError, UnknownNameError  # noqa: E402
from atrous.inference.load import load  # noqa: E402
from atrous.pipelines.export import UnequalError, export  # noqa: E402
from atrous.runtimes.onnx import OnnxNetwork  # noqa: E402

# torch's exporter deprecates parts of itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIZES = [(61, 83), (128, 96), (101, 140)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of this module alone, so that no test finds what another user's run left."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIZES):
        blocks = rng.integers(0, 256, (-(-height // 16), -(-width // 16), 3)).astype(np.uint8)
        pixels = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def plain(tiny_weights, tmp_path_factory):
    """The smallest network as ONNX."""
    return export(tiny_weights, "onnx", tmp_path_factory.mktemp("plain") / "tiny.onnx")


@pytest.fixture(scope="module")
def whole(tiny_weights, tmp_path_factory):
    """The same with preprocessing and the choice of classes."""
    return export(
        tiny_weights,
        "onnx",
        tmp_path_factory.mktemp("whole") / "whole.onnx",
        with_parts=["preprocessing", "argmax"],
    )


def masks(folder):
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def test_predict_and_evaluate_take_the_file_as_they_take_weights(
    atrous, plain, tiny_weights, photos, tmp_path
):
    for name, model in (("weights", tiny_weights), ("file", plain.path)):
        assert atrous("predict", model, photos, "--out", tmp_path / name)[0] == 0
    by_weights, by_file = (masks(tmp_path / name / "masks") for name in ("weights", "file"))
    assert by_weights.keys() == by_file.keys()
    assert [mask.shape for mask in by_file.values()] == SIZES
    for name, mask in by_weights.items():
        assert (mask == by_file[name]).mean() > 0.999
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    for number, mask in enumerate(by_weights.values()):
        Image.open(photos / f"{number}.png").save(data / f"images/{number}.png")
        Image.fromarray(mask).save(data / f"masks/{number}.png")
    options = ("--layout", "mask_folder", "--json")
    code, text, error = atrous("evaluate", plain.path, data, *options)
    assert code == 0, error
    record = json.loads(text)
    assert (record["runtime"], record["precision"]) == ("onnx", "float32")
    assert record["pixel_accuracy"] > 99.9


def test_the_file_holds_its_card_and_the_proof_its_checksum(plain, tiny_weights):
    from atrous._files import sha256_of
    from atrous.networks.weights import load_weights

    facts = OnnxNetwork(plain.path).facts
    assert facts.card == load_weights(tiny_weights).card
    assert facts.source_sha256 == sha256_of(tiny_weights)
    proof = json.loads(plain.certificate_path.read_text())
    assert proof["sha256"] == sha256_of(plain.path)
    assert proof["is_met"]
    assert len(proof["comparisons"]) == 3
    onnx.checker.check_model(str(plain.path))


def test_profile_shows_the_network_of_the_file(atrous, plain, tiny_weights):
    lines = []
    for model in (tiny_weights, plain.path):
        code, text, error = atrous("profile", model, "--size", "3x64x96", "--json")
        assert code == 0, error
        lines.append(json.loads(text))
    assert lines[0]["macs"] == lines[1]["macs"]


def test_a_program_without_torch_runs_it(whole, tiny_weights, photos, tmp_path):
    blocked = "import sys, runpy\nfor name in ('torch', 'torchvision', 'scipy', 'safetensors'):\n"
    blocked += "    sys.modules[name] = None\nsys.argv[0] = 'atrous.deploy'\n"
    blocked += "runpy.run_module('atrous.deploy', run_name='__main__')\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked, whole.path, *sorted(photos.iterdir()), "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    model = load(tiny_weights)
    for path in sorted(photos.iterdir()):
        said = np.asarray(Image.open(tmp_path / f"{path.stem}.mask.png"))
        assert (said == model.predict(path).mask.numpy()).mean() > 0.999


def test_files_with_preprocessing_are_for_other_programs(atrous, whole, photos, tmp_path):
    code, _, error = atrous("predict", whole.path, photos, "--out", tmp_path / "out")
    assert code == 2
    assert "holds preprocessing and argmax" in error
    assert not (tmp_path / "out").exists()


def test_a_graph_that_answers_otherwise_is_not_kept(tiny_weights, tmp_path, monkeypatch):
    right = OnnxNetwork.forward

    def wrong(self, x):
        return right(self, x) * (1.001 if x.shape[2] % 2 else 1)  # at odd sizes alone

    monkeypatch.setattr(OnnxNetwork, "forward", wrong)
    with pytest.raises(UnequalError, match="answers otherwise than its network") as stop:
        export(tiny_weights, "onnx", tmp_path / "n.onnx")
    assert stop.value.certificate.largest == pytest.approx(1e-3, rel=0.1)
    assert not list(tmp_path.iterdir())


def test_the_command_ends_with_1_then(atrous, tiny_weights, tmp_path):
    # Closer than floats of 32 bits can be.
    code, _, error = atrous(
        "export", tiny_weights, "--to", "onnx", "--out", tmp_path / "n.onnx", "--tolerance", 1e-12
    )
    assert code == 1
    assert "nothing was written" in error
    assert not list(tmp_path.iterdir())


def test_runtimes_answer_alike(cache, tiny_weights, photos):
    eager = load(tiny_weights)
    for runtime in ("onnx", "openvino"):
        pytest.importorskip(runtime, reason="needs the extra export")
        engine = load(tiny_weights, runtime=runtime)
        assert engine.fingerprint != eager.fingerprint
        for path in sorted(photos.iterdir()) * 2:  # the second time by a graph of its own shape
            a, b = (m.predict_probabilities(path).probabilities for m in (eager, engine))
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert len(list((cache / "atrous/runtimes").glob("*.onnx"))) == 1


def test_a_cache_that_cannot_be_written_costs_time_alone(
    tiny_weights, photos, tmp_path, monkeypatch
):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mask = load(tiny_weights, runtime="onnx").predict(photos / "0.png").mask
    assert (mask == load(tiny_weights).predict(photos / "0.png").mask).float().mean() > 0.999


@pytest.mark.parametrize("content", [b"", b"not a graph", None])
def test_broken_files_are_refused(content, plain, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(plain.path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(DataError, match="cannot be run by ONNX Runtime"):
        load(path)


def test_graphs_of_others_are_refused(plain, tmp_path):
    model = onnx.load(str(plain.path))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(DataError, match="holds a graph but no card"):
        load(tmp_path / "other.onnx")
    model.metadata_props.add(key="atrous", value='{"format": 99}')
    onnx.save(model, str(tmp_path / "later.onnx"))
    with pytest.raises(DataError, match="is of format 99"):
        load(tmp_path / "later.onnx")
    model.metadata_props[0].value = "[" * 100_000
    onnx.save(model, str(tmp_path / "deep.onnx"))
    with pytest.raises(DataError, match="its card cannot be read"):
        load(tmp_path / "deep.onnx")


def test_what_cannot_be_is_said_first(tiny_weights, plain, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'onnx'"):
        load(tiny_weights, runtime="onxx")
    with pytest.raises(DataError, match="computes in float32"):
        load(tiny_weights, runtime="onnx", precision="bfloat16")
    with pytest.raises(DataError, match="was exported to onnx"):
        load(plain.path, runtime="openvino")
    with pytest.raises(UnknownNameError, match="format"):
        export(tiny_weights, "tflite", tmp_path / "n.tflite")
    with pytest.raises(DataError, match=r"ends in \.onnx"):
        export(tiny_weights, "onnx", tmp_path / "n.xml")
    with pytest.raises(DataError, match="is there already"):
        export(tiny_weights, "onnx", plain.path)
    with pytest.raises(DataError, match="run by another engine"):
        export(plain.path, "openvino", tmp_path / "n.xml")


def test_a_graph_of_one_size_refuses_others(tiny_weights, tmp_path):
    done = export(tiny_weights, "onnx", tmp_path / "n.onnx", size=(64, 96))
    engine = OnnxNetwork(done.path)
    assert engine(torch.rand(3, 3, 64, 96)).shape == (3, 4, 64, 96)
    with pytest.raises(DataError, match="expected a size of 64 x 96"):
        engine(torch.rand(1, 3, 96, 64))


def test_openvino_is_two_files_of_which_neither_may_be_missing(tiny_weights, photos, tmp_path):
    pytest.importorskip("openvino", reason="needs the extra export")
    done = export(tiny_weights, "openvino", tmp_path / "n.xml")
    assert {path.suffix for path in tmp_path.iterdir()} == {".xml", ".bin", ".json"}
    model = load(done.path)
    assert model.card.name == "espnet.tiny"
    eager = load(tiny_weights).predict(photos / "0.png").mask
    assert (model.predict(photos / "0.png").mask == eager).float().mean() > 0.999
    (tmp_path / "n.bin").unlink()
    with pytest.raises(DataError, match=r"with its \.bin"):
        load(done.path)


def test_pt2_answers_alike(tiny_weights, tmp_path):
    done = export(tiny_weights, "pt2", tmp_path / "n.pt2")
    assert done.certificate.is_met
    program = torch.export.load(str(done.path)).module()
    x = torch.rand(1, 3, 61, 83)
    torch.testing.assert_close(program(x), load(tiny_weights).network(x), rtol=1e-3, atol=1e-4)
