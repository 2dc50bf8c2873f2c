"""Names of results: the stem, folders before it where slides share one; none that changes."""

import json
from itertools import permutations
from pathlib import Path

from atrous.data.check.fingerprint import file_state
from atrous.pipelines.predict.slide_names import slide_names


def paths_in(tmp_path, *names):
    paths = [tmp_path / name for name in names]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number + 1))
    return paths


def test_a_stem_alone_is_the_name(tmp_path):
    paths = paths_in(tmp_path, "a/1.svs", "a/2.svs", "b/3.svs")
    assert list(slide_names(paths, tmp_path / "out").values()) == ["1", "2", "3"]


def test_folders_tell_slides_of_one_stem_apart_in_any_order(tmp_path, monkeypatch):
    paths = paths_in(tmp_path, "a/x.svs", "b/x.svs", "c/y.svs")
    expected = {paths[0]: "a-x", paths[1]: "b-x", paths[2]: "y"}
    for order in permutations(paths):
        assert slide_names(order, tmp_path / "out") == expected
    monkeypatch.chdir(tmp_path / "a")  # named from within, a slide has the same folders
    names = slide_names([Path("x.svs"), Path("../b/x.svs")], tmp_path / "out")
    assert names[Path("x.svs")] == "a-x"


def test_of_one_folder_the_whole_file_names_do(tmp_path):
    paths = paths_in(tmp_path, "a/x.svs", "a/x.tif")
    assert list(slide_names(paths, tmp_path / "out").values()) == ["x.svs", "x.tif"]


def test_deeper_folders_and_names_that_differ_in_case(tmp_path):
    paths = paths_in(tmp_path, "p1/scan/x.svs", "p2/scan/x.svs")
    assert list(slide_names(paths, tmp_path / "out").values()) == ["p1-scan-x", "p2-scan-x"]
    paths = paths_in(tmp_path, "a/X.svs", "b/x.svs")
    assert list(slide_names(paths, tmp_path / "out").values()) == ["a-X", "b-x"]


def test_a_slide_that_is_done_keeps_its_name_when_another_comes(tmp_path):
    paths = paths_in(tmp_path, "a/x.svs", "b/x.svs")
    folder = tmp_path / "out/x"
    folder.mkdir(parents=True)
    note = {"slide": {"state": file_state(paths[1])}}
    (folder / "run.json").write_text(json.dumps(note))
    names = slide_names(paths, tmp_path / "out")
    assert names == {paths[0]: "a-x", paths[1]: "x"}
