"""What anybody may have written: nesting within reason, pipes refused, names that are no UTF-8."""

import json
import os

import pytest

from atrous._documents import MAX_DEPTH, parse_json, parse_toml, read_json
from atrous._files import make_folder, sha256_of, short_name, write_atomically, write_text
from atrous.cli.progress import one_line
from atrous.data.class_map import read_class_map
from atrous.data.inputs import find_inputs
from atrous.data.layouts.coco_panoptic import COCOPanoptic
from atrous.data.layouts.dataset_json import read_dataset_json
from atrous.data.layouts.name_list import names_text, read_names
from atrous.data.volumes.nifti_header import read_head
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.reports.csv_table import csv_text
from atrous.training.recipe.file import read_recipe


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
def test_deep_nesting_is_an_error_of_value(depth):
    with pytest.raises(ValueError, match="nested more than"):
        parse_json("[" * depth + "]" * depth)
    with pytest.raises(ValueError, match="nested more than"):
        parse_toml("a = " + "[" * depth + "]" * depth)


def test_nesting_within_reason_is_what_json_gives():
    text = "[" * (MAX_DEPTH - 1) + '{"a": [1, "[[[["]}' + "]" * (MAX_DEPTH - 1)
    with pytest.raises(ValueError, match="nested more than"):
        parse_json(text)
    assert parse_json(text[2:-2]) == json.loads(text[2:-2])


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 500 + "]" * 500], ids=["cut", "whole"])
def test_every_reader_of_documents_says_so_in_one_line(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    (tmp_path / "panoptic_val.json").write_text(text)
    (tmp_path / "a.toml").write_text(f"a = {text}")
    readers = [
        lambda: read_dataset_json(tmp_path),
        lambda: COCOPanoptic(tmp_path, split="val"),
        lambda: Card.from_json(text),
        lambda: read_recipe(tmp_path / "a.toml"),
        lambda: read_class_map(tmp_path / "a.toml"),
    ]
    for read in readers:
        with pytest.raises(DataError):
            read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "read",
    [
        lambda path: find_inputs([path], takes_volumes=False, model="m"),
        lambda path: find_inputs([path], takes_volumes=True, model="m"),
        read_recipe,
        read_names,
        read_head,
        sha256_of,
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    path = tmp_path / "a.nii.gz"
    os.mkfifo(path)
    with pytest.raises(DataError):
        read(path)
    with pytest.raises(OSError, match="a pipe, socket or device"):
        read_json(path)


def test_a_device_is_refused():
    with pytest.raises(DataError, match="a pipe, socket or device"):
        find_inputs(["/dev/zero"], takes_volumes=True, model="m")


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b c"],
        ["#1", " x", "x ", '"q"', "\ufeffb", "tab\t", "line\u2028end"],
        [os.fsdecode(b"caf\xe9"), os.fsdecode(b"#\xff ")],
    ],
)
def test_listed_names_are_read_back(tmp_path, names):
    write_text(tmp_path / "list.txt", f"# head\n{names_text(names)}", errors="surrogateescape")
    assert read_names(tmp_path / "list.txt") == tuple(names)


def test_text_with_bytes_that_are_no_utf8_is_written_readably(tmp_path):
    name = os.fsdecode(b"a\xff")
    write_text(tmp_path / "a.csv", csv_text([[name, 1]]))
    assert (tmp_path / "a.csv").read_bytes() == b"a\\udcff,1\n"


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-a", "@SUM(A1)", "\tx"])
def test_cells_that_a_spreadsheet_would_run_are_quoted(cell):
    assert csv_text([[cell]]).strip("\n").strip('"').startswith("'")


@pytest.mark.parametrize("cell", ["-0.5", "+1e9", "a=b", "x-1", -1, 0.25])
def test_other_cells_stay(cell):
    assert csv_text([[cell]]) == f"{cell}\n"


def test_short_names_fit_and_stay_apart():
    long = ["é" * 125 + end for end in ("", "x", "y")]
    short = [short_name(name) for name in long]
    assert len(set(short)) == 3
    assert all(len(os.fsencode(name)) <= 215 for name in short)
    assert short_name("x" * 215) == "x" * 215


@pytest.mark.parametrize("letter", ["v", "é", "漢"])
def test_a_name_of_255_bytes_can_be_written(tmp_path, letter):
    name = letter * (255 // len(letter.encode()))
    with write_atomically(tmp_path / name) as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_messages_steer_no_terminal():
    assert one_line("a\x1b[31mb\r\nc\x00" + os.fsdecode(b"\xff")) == "a\\x1b[31mb c\\x00\\udcff"
    assert len(one_line("x" * 10**6)) < 3000


def test_parts_that_killed_processes_left_are_removed_and_young_ones_are_not(tmp_path):
    old, young, other = (
        tmp_path / name
        for name in (".mask.png.0123abcd.part", ".mask.png.89ab0123.part", ".mine.part")
    )
    for path in (old, young, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (1, 1))
    make_folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, other.name]
