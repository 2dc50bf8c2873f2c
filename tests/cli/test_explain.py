"""`atrous explain`: the numbers, the JSON contract, the plot, and one line for every mistake."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from atrous.cli import main as cli


def explain(*arguments):
    """Output of a run that must succeed."""
    done = CliRunner().invoke(cli.app, ["explain", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def explain_json(*arguments):
    return json.loads(explain(*arguments, "--json"))


def refusal(monkeypatch, capsys, *arguments):
    """The one line on stderr of a run through the entry point that must end with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["atrous", "explain", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("atrous: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("Conv2d(12, 24, 3)", ["2,592", "24", "2,616"]),
        ("Conv2d(12, 12, 3)", ["1,296", "12", "1,308"]),
        ("Conv2d(12, 12, 3, groups=12)", ["108", "12", "120"]),
        ("Conv2d(12, 12, 3, dilation=2)", ["1,296", "12", "1,308"]),
    ],
)
def test_the_decks_numbers_are_shown(expression, numbers):
    shown: dict[str, str] = {}
    for line in filter(str.strip, explain(expression).splitlines()):
        name, *rest = line.split()
        shown.setdefault(name, rest[0] if rest else "")  # comparisons further down repeat the names
    assert [shown[name] for name in ("weights", "biases", "params")] == numbers


def test_the_working_is_shown():
    text = explain("Conv2d(12, 24, 3)", "--size", "64")
    assert "in x out x taps / groups" in text
    assert "= 12 x 24 x 3x3 / 1" in text
    assert "= floor((64 + 0 - 3) / 1) + 1" in text
    assert "62x62" in text
    assert f"{62 * 62 * 2592:,}" in text
    assert f"{24 * 62 * 62 * 4:,} bytes" in text
    assert "MACs = multiply-accumulates; FLOPs = 2 x MACs; biases not counted" in text


def test_a_convolution_is_compared_with_its_separable_replacement():
    text = explain("Conv2d(12, 24, 3)", "--size", "64")
    assert "Conv2d(12, 12, 3, groups=12) > Conv2d(12, 24, 1)" in text
    (row,) = (line for line in text.splitlines() if line.startswith("  weights"))
    assert row.split() == ["weights", "2,592", "396", "15.3%"]


def test_a_dilated_convolution_is_compared_with_the_dense_kernel_of_its_field():
    text = explain("Conv2d(12, 12, 3, dilation=2)")
    assert "receptive field                  5x5" in text
    assert "Conv2d(12, 12, (5, 5))" in text
    assert "reads 9 of 25 positions (36.0%)" in text


def test_a_pointwise_or_depthwise_convolution_is_compared_with_nothing():
    assert "instead" not in explain("Conv2d(12, 24, 1)")
    assert "instead" not in explain("Conv2d(12, 12, 3, groups=12)")


def test_a_chain_is_a_row_per_layer_and_a_total():
    text = explain(
        "Conv2d(3, 16, 3, stride=2) > MaxPool2d(2) > Conv2d(16, 8, 1)", "--size", "64x48"
    )
    rows = [line.split("  ") for line in text.splitlines()]
    layers = [cells for cells in rows if cells[0].strip() in {"1", "2", "3"}]
    assert len(layers) == 3
    (total,) = (line for line in text.splitlines() if line.split()[:1] == ["total"])
    assert total.split()[1:4] == ["560", "24", "584"]
    assert total.split()[4] == f"{432 * 31 * 23 + 128 * 15 * 11:,}"


def test_json_keeps_the_contract_for_one_layer():
    facts = explain_json("Conv2d(12, 24, 3)", "--size", "64")
    assert {key: facts[key] for key in ("weights", "biases", "params", "macs", "output_size")} == {
        "output_size": [62, 62],
        "weights": 2592,
        "biases": 24,
        "params": 2616,
        "macs": 62 * 62 * 2592,
    }
    field = facts["receptive_field"]
    assert (field["size"], field["jump"], field["start"]) == ([3, 3], [1, 1], [0, 0])
    assert "layers" not in facts


def test_json_without_a_size_has_null_for_what_depends_on_it():
    facts = explain_json("Conv3d(1, 2, 3, padding=1)")
    assert facts["output_size"] is facts["macs"] is facts["activation_bytes"] is None
    assert facts["receptive_field"]["start"] == [-1, -1, -1]


def test_json_of_a_chain_sums_its_layers():
    facts = explain_json("Conv2d(3,16,3,stride=2) > MaxPool2d(2)", "--size", "64x48")
    first, second = facts["layers"]
    assert facts["output_size"] == second["output_size"] == [15, 11]
    assert facts["params"] == first["params"] == 448
    assert facts["macs"] == first["macs"] == 432 * 31 * 23
    assert facts["activation_bytes"] == 16 * 4 * (31 * 23 + 15 * 11)
    assert facts["receptive_field"]["size"] == [5, 5]
    assert facts["receptive_field"]["jump"] == [4, 4]


def test_what_follows_a_convolution_is_explained_in_the_same_words():
    """VGG's last steps: the first linear layer multiplies 512 x 7 x 7 by 4096 numbers."""
    text = "Sequential(BatchNorm2d(512), ReLU(), Flatten(), Linear(25088, 4096))"
    facts = explain_json(text, "--size", "7")
    assert facts["macs"] == 512 * 7 * 7 * 4096
    assert facts["params"] == 2 * 512 + 512 * 7 * 7 * 4096 + 4096
    assert facts["output_size"] == []
    assert facts["receptive_field"]["size"] == [7, 7]
    assert "in x out" in explain("Linear(25088, 4096)")
    assert "one scale per channel" in explain("BatchNorm2d(512)")
    assert "4096  102,760,448" in explain(text, "--size", "7")


def test_features_without_positions_have_no_field():
    text = explain("Linear(8, 4) > ReLU() > Linear(4, 2)")
    assert "One output sees" not in text
    assert explain_json("Linear(8, 4)")["receptive_field"]["size"] == []


def test_a_block_is_explained_by_its_name():
    text = explain("ESPBlock(96, 96)", "--size", "64")
    assert "reduce: 96 x 19 x 1x1 / 1 = 1,824" in text
    assert "field of 33x33 from -16 for output 0" in text
    (total,) = (line for line in text.splitlines() if line.split()[:1] == ["total"])
    assert total.split()[1:4] == ["18,432", "96", "18,528"]  # 18,240 and norm and PReLU: 96 thrice
    facts = explain_json("ESPBlock(96, 96)", "--size", "64")
    assert facts["macs"] == 18240 * 64 * 64
    assert facts["output_size"] == [64, 64]
    assert facts["receptive_field"]["start"] == [-16, -16]
    assert facts["layers"][0]["name"] == "reduce"
    assert explain_json("ESPBlock(96, 96)")["macs"] is None


def test_the_start_of_a_transposed_convolution_with_gaps_is_an_exact_string_in_json():
    facts = explain_json("ConvTranspose2d(1, 1, 1, stride=2, padding=1)")
    assert facts["receptive_field"]["start"] == ["1/2", "1/2"]


def test_a_fractional_jump_is_an_exact_string_in_json():
    facts = explain_json("ConvTranspose2d(8, 4, (2, 3), stride=(2, 1))")
    assert facts["receptive_field"]["jump"] == ["1/2", 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Conv2D(12, 24, 3)"], "Did you mean 'Conv2d'?"),
        (["__import__('os').system('true')"], "__import__"),
        (["Conv2d(12, 24, 3, groups=5)"], "divisible by groups"),
        (["Conv2d(12, 24, 3) > Conv2d(12, 24, 3)"], "takes 12 channels"),
        (["Conv2d(12, 24, 3)", "--size", "0x5"], "'0x5'"),
        (["Conv2d(12, 24, 3)", "--size", "abc"], "'abc'"),
        (["Conv2d(12, 24, 3)", "--size", "4x4x4"], "3 axes"),
        (["Conv2d(12, 24, 3)", "--size", "2"], "use a larger input"),
        (["Conv2d(12, 24, 3)", "--plot", "taps.doc"], "'.doc'"),
        (["Conv2d(12, 24, 3)", "--plot", "taps"], "png"),
        (["ESPBlock(96, 96)", "--plot", "taps.png"], "--plot"),
        (["Conv2d(3, 4, 3) > Flatten() > Linear(8, 2)"], "--size"),
        (["Flatten() > Linear(8, 2)", "--size", "2", "--plot", "taps.png"], "Flatten or Linear"),
        (["ESPblock(96, 96)"], "Did you mean 'ESPBlock'?"),
        (["ESPBlock(95, 96)"], "ESPBlock"),
        (["Conv2d(12, 24, 3)", "--plot", "no/such/folder/taps.png"], "no folder"),
        (["Conv2d(12, 24, 9999)", "--plot", "taps.png"], "at most 3,000 positions"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(monkeypatch, capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "expression",
    [
        "Conv2d(12, 24, 3)",
        "Conv1d(12, 24, 3, dilation=4)",
        "Conv3d(1, 1, (2, 3, 3), dilation=3)",
        "ConvTranspose2d(8, 8, 4, stride=2)",
        "Conv2d(1,1,3,dilation=2) > Conv2d(1,1,3,dilation=2)",
        "Conv1d(1,1,3,dilation=2) > MaxPool1d(2)",
        "Conv3d(1,1,3,dilation=2) > AvgPool3d(2)",
        "Conv2d(1,1,101) > Conv2d(1,1,101) > Conv2d(1,1,101) > Conv2d(1,1,101)",
    ],
)
def test_a_plot_is_a_picture_that_opens(tmp_path, expression):
    path = tmp_path / "taps.png"
    explain(expression, "--plot", path)
    with Image.open(path) as picture:
        picture.load()
        assert min(picture.size) > 200
    assert list(tmp_path.iterdir()) == [path]


def test_the_holes_of_a_dilated_kernel_are_seen_in_the_plot(tmp_path):
    # Colours by area: the 9 cells that are read and the 16 that are not, of the same size.
    path = tmp_path / "taps.png"
    explain("Conv2d(12, 24, 3, dilation=2)", "--plot", path)
    with Image.open(path) as picture:
        areas = {colour: number for number, colour in picture.convert("RGB").getcolors(10**6)}
    read, skipped = areas[0x1F, 0x5F, 0xA8], areas[0xF6, 0xE7, 0xC8]
    assert skipped / read == pytest.approx(16 / 9, rel=0.05)


@pytest.mark.parametrize("ending", ["png", "SVG", "pdf", "jpg", "webp", "tiff", "eps"])
def test_every_offered_format_is_written(tmp_path, ending):
    path = tmp_path / f"taps.{ending}"
    explain("Conv2d(1, 1, 3)", "--plot", path)
    assert path.stat().st_size > 1000


def test_a_plot_replaces_the_file_that_was_there(tmp_path):
    path = tmp_path / "taps.png"
    path.write_bytes(b"old")
    explain("Conv2d(1, 1, 3)", "--plot", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_one_line_and_leaves_nothing(
    monkeypatch, capsys, tmp_path
):
    (tmp_path / "taps.png").mkdir()
    line = refusal(monkeypatch, capsys, "Conv2d(1, 1, 3)", "--plot", tmp_path / "taps.png")
    assert "could not be written" in line
    assert os.listdir(tmp_path) == ["taps.png"]  # noqa: PTH208 - hidden names too


def test_without_a_plot_nothing_heavy_is_loaded():
    code = (
        "import sys; sys.argv = ['atrous', 'explain', 'Conv2d(12, 24, 3, dilation=2)', '--size', "
        "'9']\nfrom atrous.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n"
        "    pass\nprint(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_kernel_too_large_to_count_still_gets_its_other_numbers():
    text = explain("Conv1d(1, 1, 3000000, dilation=2)")
    assert "5,999,999" in text or "5999999" in text
    assert "not counted" in text
