"""The commands as a user types them: results, exit codes, one line an error, nothing half done."""

import csv
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from atrous.data.synthetic.shapes import write_mask_folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (17, 26, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def huge_png(path):
    """A file whose header declares 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def assert_one_line(error, *words):
    assert len(error.strip().splitlines()) == 1, error
    assert error.startswith("atrous: ")
    for word in words:
        assert word in error


class TestPredict:
    def test_masks_overlays_and_shares_are_written(self, atrous, tiny_weights, pictures, tmp_path):
        out = tmp_path / "out"
        code, _, error = atrous("predict", tiny_weights, pictures, "--out", out)
        assert (code, error) == (0, "")
        for kind in ("masks", "overlays"):
            assert sorted(p.name for p in (out / kind).iterdir()) == ["0.png", "1.png", "2.png"]
        shares = json.loads((out / "shares.json").read_text())
        rows = list(csv.DictReader((out / "shares.csv").read_text().splitlines()))
        assert [row["image"] for row in rows] == list(shares) == ["0", "1", "2"]
        for row in rows:
            assert sum(
                float(row[c]) for c in ("background", "disc", "square", "stripe")
            ) == pytest.approx(1)
            mask = np.array(Image.open(out / "masks" / f"{row['image']}.png"))
            assert (mask == 1).mean() == pytest.approx(float(row["disc"]), abs=1e-6)

    def test_a_second_run_does_only_what_is_missing(self, atrous, tiny_weights, pictures, tmp_path):
        out = tmp_path / "out"
        atrous("predict", tiny_weights, pictures, "--out", out)
        before = {p: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
        summary = (out / "shares.json").read_text()
        (out / "masks" / "1.png").unlink()
        (out / "shares.json").unlink()
        code, text, _ = atrous("predict", tiny_weights, pictures, "--out", out)
        assert code == 0
        assert "2 of them done before" in text
        after = {p: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
        assert [p.name for p in before if before[p] != after[p]] == ["1.png"]
        assert (out / "shares.json").read_text() == summary
        atrous("predict", tiny_weights, pictures, "--out", out, "--overwrite")
        assert all(p.stat().st_mtime_ns != after[p] for p in (out / "masks").iterdir())

    def test_a_broken_file_is_named_and_the_rest_goes_on(
        self, atrous, tiny_weights, pictures, tmp_path
    ):
        (pictures / "bad.png").write_text("no picture")
        out = tmp_path / "out"
        code, text, error = atrous("predict", tiny_weights, pictures, "--out", out)
        assert code == 1
        assert_one_line(error, "bad.png")
        assert "3 images" in text
        assert "1 could not be read" in text
        assert len(list((out / "masks").iterdir())) == 3

    def test_json_lists_shares_and_errors(self, atrous, tiny_weights, pictures, tmp_path):
        (pictures / "bad.png").write_text("no picture")
        code, text, error = atrous(
            "predict", tiny_weights, pictures, "--out", tmp_path / "out", "--json"
        )
        record = json.loads(text)
        assert code == 1
        assert len(error.splitlines()) == 1
        assert "bad.png" in error
        assert list(record["images"]) == ["0", "1", "2"]
        assert list(record["errors"]) == [str(pictures / "bad.png")]

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda p: (p / "x.png").write_text("no picture"), ["x.png"]),
            (lambda p: (p / "x.png").write_bytes(b""), ["x.png"]),
            (lambda p: huge_png(p / "x.png"), ["100000", "100000"]),
            (
                lambda p: (
                    Image.new("RGB", (400, 400)).save(p / "y.jpg"),
                    (p / "x.png").write_bytes((p / "y.jpg").read_bytes()[:1500]),
                ),
                ["x.png"],
            ),
            (lambda p: (p / "x.png").mkdir(), ["x.png"]),
            (lambda _: None, ["x.png"]),
        ],
        ids=["text", "empty", "bomb", "truncated", "folder", "missing"],
    )
    def test_one_bad_file_is_one_line_and_nothing_is_written(
        self, atrous, tiny_weights, tmp_path, make, words
    ):
        make(tmp_path)
        code, text, error = atrous(
            "predict", tiny_weights, tmp_path / "x.png", "--out", tmp_path / "out"
        )
        assert (code, text) == (2, "")
        assert_one_line(error, *words)
        assert not (tmp_path / "out").exists()

    def test_an_empty_folder_is_refused(self, atrous, tiny_weights, tmp_path):
        (tmp_path / "empty").mkdir()
        code, _, error = atrous(
            "predict", tiny_weights, tmp_path / "empty", "--out", tmp_path / "out"
        )
        assert code == 2
        assert_one_line(error, "empty")
        assert not (tmp_path / "out").exists()

    def test_a_folder_of_broken_files_writes_nothing(self, atrous, tiny_weights, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        for name in ("a.png", "b.png"):
            (folder / name).write_text("no picture")
        code, _, error = atrous("predict", tiny_weights, folder, "--out", tmp_path / "out")
        assert code == 2
        assert "None of the 2 images" in error
        assert not (tmp_path / "out").exists()

    def test_wrong_weights_are_refused(self, atrous, pictures, tmp_path):
        torch.save({"a": torch.zeros(1)}, tmp_path / "model.pth")
        save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
        for name, word in [
            ("model.pth", "atrous convert"),
            ("bare.safetensors", "no card"),
            ("missing.safetensors", "found nothing"),
        ]:
            code, _, error = atrous("predict", tmp_path / name, pictures, "--out", tmp_path / "out")
            assert code == 2
            assert_one_line(error, word)
            assert not (tmp_path / "out").exists()

    def test_a_folder_that_cannot_be_written_in_is_refused(
        self, atrous, tiny_weights, pictures, tmp_path
    ):
        (tmp_path / "file").write_text("in the way")
        code, _, error = atrous(
            "predict", tiny_weights, pictures, "--out", tmp_path / "file" / "out"
        )
        assert code == 2
        assert_one_line(error, "cannot be written in")

    def test_an_unknown_device_is_refused(self, atrous, tiny_weights, pictures, tmp_path):
        code, _, error = atrous(
            "predict", tiny_weights, pictures, "--out", tmp_path / "out", "--device", "abacus"
        )
        assert code == 2
        assert_one_line(error, "abacus")

    @pytest.mark.slow
    def test_kill_leaves_only_whole_files(self, tiny_weights, tmp_path):
        folder, out = tmp_path / "in", tmp_path / "out"
        folder.mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
        for index in range(300):
            Image.fromarray(pixels).save(folder / f"{index:03}.png")
        command = [sys.executable, "-m", "atrous.cli.main", "predict"]
        run = subprocess.Popen(
            [*command, str(tiny_weights), str(folder), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        while run.poll() is None and len(list(out.glob("masks/*.png"))) < 5:
            pass
        run.kill()
        run.wait()
        left = list(out.rglob("*.png"))
        assert 5 <= len(left) < 600, "the run was over before it was killed"
        for path in left:
            with Image.open(path) as picture:
                picture.load()


class TestEvaluate:
    @pytest.fixture
    def data(self, tmp_path):
        return write_mask_folder(tmp_path / "data", num_images=4, size=(18, 26))

    def test_json_keeps_its_contract(self, atrous, tiny_weights, data):
        code, text, _ = atrous("evaluate", tiny_weights, data, "--layout", "mask_folder", "--json")
        record = json.loads(text)
        assert code == 0
        assert record["protocol"] == "void_ignored"
        assert record["images"] == 4
        assert list(record["iou"]) == ["background", "disc", "square", "stripe"]
        low, high = record["interval"]["miou"]
        assert 0 <= low <= record["miou"] <= high <= 100
        assert {"class_average_accuracy", "pixel_accuracy"} <= set(record)

    def test_the_page_is_written_and_every_number_names_its_protocol(
        self, atrous, tiny_weights, data, tmp_path
    ):
        page = tmp_path / "page.html"
        code, text, _ = atrous(
            "evaluate", tiny_weights, data, "--layout", "mask_folder", "--html", page
        )
        assert code == 0
        assert "protocol void_ignored" in text
        assert "void_ignored" in page.read_text()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--layout", "mask_foldr"], ["Did you mean 'mask_folder'"]),
            (
                ["--layout", "mask_folder", "--protocol", "void_ignore"],
                ["Did you mean 'void_ignored'"],
            ),
            (["--layout", "mask_folder", "--split", "val"], ["split"]),
            (["--layout", "camvid", "--split", "val"], ["train/"]),
        ],
    )
    def test_unknown_names_are_answered_with_the_nearest(
        self, atrous, tiny_weights, data, options, words
    ):
        code, text, error = atrous("evaluate", tiny_weights, data, *options)
        assert (code, text) == (2, "")
        assert_one_line(error, *words)

    def test_masks_with_a_class_too_high_are_refused(self, atrous, tiny_weights, data):
        path = sorted((data / "masks").iterdir())[2]
        mask = np.array(Image.open(path))
        mask[3, 4] = 40
        Image.fromarray(mask).save(path)
        code, _, error = atrous("evaluate", tiny_weights, data, "--layout", "mask_folder")
        assert code == 2
        assert_one_line(error, path.name, "40")

    def test_masks_of_another_size_are_refused(self, atrous, tiny_weights, data, tmp_path):
        path = sorted((data / "masks").iterdir())[1]
        Image.fromarray(np.zeros((18, 25), np.uint8)).save(path)
        code, _, error = atrous(
            "evaluate",
            *(tiny_weights, data, "--layout", "mask_folder", "--html", tmp_path / "p.html"),
        )
        assert code == 2
        assert_one_line(error, path.name, "25", "26")
        assert not (tmp_path / "p.html").exists()


class TestConvert:
    def test_code_in_a_pickle_is_refused(self, atrous, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
        code, _, error = atrous(
            "convert", tmp_path / "evil.pth", "--to", tmp_path / "x.safetensors"
        )
        assert code == 2
        assert_one_line(error, "refused")
        assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]

    def test_another_suffix_is_refused(self, atrous, tmp_path):
        code, _, error = atrous("convert", tmp_path / "a.pth", "--to", tmp_path / "x.pt")
        assert code == 2
        assert_one_line(error, "x.safetensors")


class TestOthers:
    @pytest.mark.slow
    def test_networks_json_keeps_its_contract(self, atrous):
        code, text, _ = atrous("networks", "espnet*", "--json")
        rows = {row["name"]: row for row in json.loads(text)}
        assert code == 0
        # SPEC 12: convolutions at 512 x 1024 and 20 classes.
        assert rows["espnet"]["params"] == 365_109
        assert rows["espnet"]["macs"] / 1e9 == pytest.approx(4.780, abs=5e-4)
        assert rows["espnet_c"]["macs"] / 1e9 == pytest.approx(3.470, abs=5e-4)
        assert all(set(row) >= {"name", "task", "params", "macs", "size"} for row in rows.values())

    def test_an_unknown_network_is_answered_with_the_nearest(self, atrous):
        code, _, error = atrous("networks", "espnett")
        assert code == 2
        assert_one_line(error, "Did you mean 'espnet'")

    def test_doctor_names_what_is_there(self, atrous):
        code, text, _ = atrous("doctor", "--json")
        facts = json.loads(text)
        assert code == 0
        assert facts["versions"]["torch"] == torch.__version__.split("+")[0]
        assert "cpu" in facts["devices"]
        assert set(facts["extras"]) >= {"zoo", "slides", "volumes"}

    def test_help_loads_neither_torch_nor_numpy(self):
        code = (
            "import sys; from atrous.cli.main import main; sys.argv = ['atrous', '--help']\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "heavy = {'torch', 'numpy', 'PIL', 'matplotlib', 'torchvision'} & set(sys.modules)\n"
            "sys.exit(f'loaded {heavy}' if heavy else 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "explain" in done.stdout
