"""`atrous data`: the report, exit codes, the JSON contract, splits, and what is refused."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from atrous.data import open_layout
from atrous.data.synthetic.shapes import write_mask_folder
from atrous.recipes import resolve

FOUR = ("--layout", "mask_folder", "--num-classes", "4")


@pytest.fixture
def data(atrous):
    """Run `atrous data` in this process; gives exit code, stdout and stderr."""
    return partial(atrous, "data")


@pytest.fixture
def root(tmp_path):
    return write_mask_folder(tmp_path / "shapes", num_images=12, size=(20, 30))


def test_clean_data_is_reported_with_code_0(data, root):
    code, out, err = data(root, *FOUR)
    assert code == 0
    assert err == ""
    assert out.startswith("shapes (layout mask_folder): 12 images")
    assert "20x30: 12" in out
    assert "errors: none" in out
    assert "warnings: none" in out


def test_errors_are_listed_with_code_1(data, root):
    (root / "images" / "0003.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(root / "masks" / "0005.png")
    code, out, err = data(root, *FOUR)
    assert code == 1
    assert err == ""
    assert "errors: 2" in out
    assert "0003.png: a broken or cut off PNG file" in out
    assert "0005.png: holds class 9" in out


def test_a_long_list_is_cut_but_not_in_json(data, root):
    for path in (root / "images").iterdir():
        path.write_bytes(b"")
        for copy in range(2):
            name = f"{path.stem}-{copy}.png"
            (root / "images" / name).write_bytes(b"")
            (root / "masks" / name).write_bytes((root / "masks" / path.name).read_bytes())
    code, out, _ = data(root, *FOUR)
    assert code == 1
    assert "and 16 more, which --json lists" in out
    code, out, _ = data(root, *FOUR, "--json")
    assert code == 1
    assert len(json.loads(out)["errors"]) == 36


def test_json_has_the_keys_that_the_docs_promise(data, root):
    code, out, _ = data(root, *FOUR, "--json")
    record = json.loads(out)
    assert code == 0
    assert set(record) == {
        "images", "read", "content", "classes", "has_class_names", "unlabelled", "labels", "sizes",
        "grey", "errors", "warnings",
    }  # fmt: skip
    assert record["images"] == record["read"] == 12
    assert set(record["classes"][0]) == {"name", "pixels", "share", "images"}
    assert sum(entry["pixels"] for entry in record["classes"]) == 12 * 20 * 30
    assert record["sizes"] == [{"size": [20, 30], "images": 12}]


def test_a_split_is_checked_against_others_and_against_lists(data, tmp_path):
    train = write_mask_folder(tmp_path / "train", num_images=3, size=(20, 30))
    val = write_mask_folder(tmp_path / "val", num_images=3, size=(20, 30), seed=1)
    write_mask_folder(tmp_path / "test", num_images=3, size=(20, 30), seed=2)
    for folder in ("images", "masks"):
        copied = (train / folder / "0001.png").read_bytes()
        (val / folder / "0002.png").write_bytes(copied)
    arguments = (tmp_path, *FOUR, "--split", "train")
    assert data(*arguments, "--against", "test")[0] == 0
    code, out, _ = data(*arguments, "--against", "test", "--against", "val")
    assert code == 1
    assert "0001 is the same image as 0002 of val." in out
    (tmp_path / "some.txt").write_text("0000\n0001\n")
    (tmp_path / "rest.txt").write_text("0001\n0002\n")
    code, out, _ = data(
        *arguments, "--subset", tmp_path / "some.txt", "--against", tmp_path / "rest.txt"
    )
    assert code == 1
    assert "0001 is the same image as 0001 of rest." in out


def test_splits_are_written_and_can_be_opened(data, root, tmp_path):
    folder = tmp_path / "lists"
    code, out, _ = data(root, *FOUR, "--write-split", folder, "--share", "0.5", "--seed", "3")
    assert code == 0
    parts = [
        open_layout("mask_folder", root, num_classes=4, subset=folder / name).names
        for name in ("train.txt", "val.txt")
    ]
    assert sorted(parts[0] + parts[1]) == [f"{index:04}" for index in range(12)]
    assert f"{len(parts[0])} names in" in out
    assert (folder / "train.txt").read_text().startswith(f"# {len(parts[0])} names; layout")
    again = data(root, *FOUR, "--write-split", folder, "--share", "0.5", "--seed", "3", "--json")
    counts = json.loads(again[1])["split"]
    assert counts == {"train": len(parts[0]), "val": len(parts[1])}


def test_folds_are_written_as_lists_and_as_nnunet_keeps_them(data, root, tmp_path):
    code, out, _ = data(root, *FOUR, "--write-split", tmp_path / "folds", "--folds", "3")
    assert code == 0
    assert "3 folds in" in out
    record = json.loads((tmp_path / "folds/splits_final.json").read_text())
    assert len(record) == 3
    for number, fold in enumerate(record):
        assert sorted(fold["train"] + fold["val"]) == [f"{index:04}" for index in range(12)]
        for part in ("train", "val"):
            listed = [
                open_layout("mask_folder", root, num_classes=4, subset=tmp_path / "folds" / name)
                for name in (f"fold_{number}_{part}.txt", f"splits_final.json#{number}.{part}")
            ]
            assert list(listed[0].names) == list(listed[1].names) == fold[part]
    assert data(root, *FOUR, "--folds", "3")[0] == 2


def test_lists_of_another_split_are_not_overwritten(data, root, tmp_path):
    (tmp_path / "val.txt").write_text("0001\n")
    code, _, err = data(root, *FOUR, "--write-split", tmp_path)
    assert code == 2
    assert "val.txt is there already and lists other names" in err
    assert not (tmp_path / "train.txt").exists()
    assert (tmp_path / "val.txt").read_text() == "0001\n"


def test_equal_images_fall_into_one_list_and_broken_ones_into_none(data, root, tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        for folder in ("images", "masks"):
            copied = (root / folder / "0001.png").read_bytes()
            (root / folder / f"{name}.png").write_bytes(copied)
    (root / "images" / "0002.png").write_bytes(b"")
    for seed in range(4):
        folder = tmp_path / str(seed)
        arguments = ("--write-split", folder, "--share", "0.5", "--seed", seed)
        assert data(root, *FOUR, *arguments)[0] == 1
        parts = [set((folder / f"{part}.txt").read_text().split()) for part in ("train", "val")]
        copies = {"0001", "a", "b", "c", "d", "e"}
        assert any(copies <= part for part in parts)
        assert not any("0002" in part for part in parts)


def test_the_page_is_written(data, root, tmp_path):
    code, out, _ = data(root, *FOUR, "--html", tmp_path / "page.html")
    assert code == 0
    assert "page: " in out
    assert "</html>" in (tmp_path / "page.html").read_text()


def test_a_class_map_gives_the_shared_classes(data, root, tmp_path):
    (tmp_path / "map.toml").write_text(
        'classes = ["nothing", "shape"]\n[data]\n"0" = "nothing"\n"1" = "shape"\n"2" = "shape"\n'
    )
    code, out, _ = data(root, "--layout", "mask_folder", "--remap", tmp_path / "map.toml", "--json")
    record = json.loads(out)
    assert code == 0
    assert [entry["name"] for entry in record["classes"]] == ["nothing", "shape"]
    assert record["unlabelled"]["pixels"] > 0  # class 3, which the map leaves out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layout", "mask_folders"), "Did you mean 'mask_folder'?"),
        (("--layout", "mask_folder"), "does not know its classes"),
        ((*FOUR, "--split", "train"), "no splits here"),
        ((*FOUR, "--subset", "none.txt"), "none.txt"),
        ((*FOUR, "--against", "none.txt"), "none.txt"),
        ((*FOUR, "--html", "no/such/folder/page.html"), "is no folder"),
        ((*FOUR, "--write-split", "lists", "--share", "80"), "expected one between 0 and 1"),
        ((*FOUR, "--recipe", "none.toml"), "none.toml"),
    ],
)
def test_wrong_arguments_are_answered_in_one_line_with_code_2(data, root, arguments, message):
    code, out, err = data(root, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("atrous: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.real
def test_the_shared_splits_of_people_share_no_image(data, shared):
    lists = resolve("recipe:people").parent / "splits"
    for name in ("people", "people_varied"):
        code, out, _ = data(
            shared / "data" / name, "--layout", "mask_folder", "--num-classes", "2",
            "--subset", lists / f"{name}-train.txt", "--against", lists / f"{name}-val.txt",
        )  # fmt: skip
        assert code == 0
        assert "another split" not in out
