"""`evaluate` on volumes: the numbers that docs/json.md promises, and the pages."""

import json
import re

import numpy as np
import pytest

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

NAMES = ("a", "b", "c")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for name in NAMES:
        smooth = rng.normal(size=(4, 4, 4)).repeat(6, 0).repeat(6, 1).repeat(6, 2)
        labels = np.zeros(smooth.shape, np.uint8)
        labels[4:9, 4:12, 3:20], labels[9:14, 4:12, 3:20] = 1, 2
        for kind, values in (("images", smooth.astype(np.float32)), ("labels", labels)):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / kind / f"{name}.nii.gz")
    return folder


def run(atrous, data, *options):
    return atrous("evaluate", "hippocampus", data, "--layout", "volume_folder", *options)


def test_means_medians_and_intervals_are_those_of_the_cases(atrous, data):
    code, text, error = run(atrous, data, "--json", "--protocol", "brats")
    assert (code, error) == (0, "")
    record = json.loads(text)
    assert record["protocol"] == "brats"
    for measure in ("dice", "hd95"):
        for name in ("anterior", "posterior"):
            values = [case[name][measure] for case in record["cases"]]
            assert record[measure][name] == pytest.approx(np.mean(values), abs=1e-3)
            assert record["median"][measure][name] == pytest.approx(np.median(values), abs=1e-3)
            low, high = record["interval"][measure][name]
            assert min(values) - 1e-3 <= low <= record[measure][name] <= high <= max(values) + 1e-3
    assert [case["name"] for case in record["cases"]] == list(NAMES)


def class_map_of_the_whole(path, *classes):
    both = '"1" = "hippocampus"\n"2" = "hippocampus"\n'
    theirs = 'anterior = "hippocampus"\nposterior = "hippocampus"\n'
    path.write_text(
        f"classes = {list(classes)}\n"
        f'[data]\n"0" = "background"\n{both}[network]\nbackground = "background"\n{theirs}'
    )
    return path


def test_a_class_map_scores_shared_classes(atrous, data, tmp_path):
    whole = class_map_of_the_whole(tmp_path / "whole.toml", "background", "hippocampus")
    assert atrous("predict", "hippocampus", data / "images", "--out", tmp_path / "out")[0] == 0
    code, text, error = run(atrous, data, "--json", "--class-map", whole)
    assert (code, error) == (0, "")
    record = json.loads(text)
    assert "scored in the classes hippocampus" in record["notes"][0]
    for case in record["cases"]:
        files = [data / "labels", tmp_path / "out"]
        truth, said = (
            np.asarray(nibabel.load(folder / f"{case['name']}.nii.gz").dataobj) > 0
            for folder in files
        )
        expected = 200 * (truth & said).sum() / (truth.sum() + said.sum())
        assert case["hippocampus"]["dice"] == pytest.approx(expected, abs=1e-3)
        assert set(case) == {"name", "hippocampus"}
    class_map_of_the_whole(whole, "hippocampus", "background")
    code, _, error = run(atrous, data, "--class-map", whole)
    assert code == 2
    assert "expected background" in error
    code, _, error = run(atrous, data, "--class-map", whole, "--html", tmp_path / "p.html")
    assert code == 2
    assert "--html without --class-map" in error


def test_one_page_holds_the_table_and_the_worst_and_best_case(atrous, data, tmp_path):
    page = tmp_path / "page.html"
    code, text, _ = run(atrous, data, "--html", page)
    assert code == 0
    assert f"page: {page}" in text
    html = page.read_text()
    assert len(html) < 5_000_000
    assert re.search(r"Worst cases.*Best cases.*All cases, worst first", html, re.DOTALL)
    assert html.count('class="viewer"') == len(NAMES)
    assert html.count("Errors in three planes") == len(NAMES)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_gets_an_index_and_a_page_for_each_case(is_there, atrous, data, tmp_path):
    folder = tmp_path / "pages"
    if is_there:
        folder.mkdir()
    assert run(atrous, data, "--html", folder, "--json")[0] == 0
    index = (folder / "index.html").read_text()
    links = re.findall(r'<a href="([^"]+)">', index)
    assert sorted(links) == [f"case-000{number}.html" for number in (1, 2, 3)]
    assert {path.name for path in folder.iterdir()} == {"index.html", *links}
    assert 'data-layer="errors"' in (folder / links[0]).read_text()


def test_a_place_that_cannot_be_written_is_told_before_the_work(atrous, data, tmp_path):
    code, _, error = run(atrous, data, "--html", tmp_path / "none" / "page.html")
    assert code == 2
    assert "none is no folder" in error


@pytest.fixture
def moved_truth(volume_weights, atrous, data, tmp_path):
    """The data with truths that are what is said, but of `b` one voxel on along an axis."""
    said = tmp_path / "said"
    assert atrous("predict", volume_weights, data / "images", "--out", said)[0] == 0
    for name in NAMES:
        [file] = said.rglob(f"{name}*.nii.gz")
        labels = np.asarray(nibabel.load(file).dataobj).astype(np.uint8)
        assert {1, 2} <= set(np.unique(labels))
        labels = np.roll(labels, 1, axis=1) if name == "b" else labels
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), data / "labels" / f"{name}.nii.gz")
    return data


def test_a_truth_beside_its_picture_is_told(volume_weights, moved_truth, atrous):
    command = ("evaluate", volume_weights, moved_truth, "--layout", "volume_folder", "--displaced")
    code, text, error = atrous(*command)
    assert (code, error) == (0, "")
    assert "1 of 3 truths fit better by more than a point of Dice" in text
    told = [line for line in text.splitlines() if "voxels (D, H, W)" in line]
    assert len(told) == 1
    assert told[0].startswith("  b: ")
    code, text, _ = atrous(*command, "--json")
    cases = {case["name"]: case["displacement"] for case in json.loads(text)["cases"]}
    assert cases["a"] == {"voxels": [0, 0, 0], "dice": 100.0, "moved_dice": 100.0}
    # Scans may be turned inside, but it is one voxel along one axis in any case.
    assert sorted(map(abs, cases["b"]["voxels"])) == [0, 0, 1]
    assert cases["b"]["dice"] < 90 < cases["b"]["moved_dice"]


def test_truths_are_not_moved_unless_asked(atrous, data):
    _, text, _ = run(atrous, data, "--json")
    assert all("displacement" not in case for case in json.loads(text)["cases"])


def named(data, names, table=(0, 1, 2)):
    """The data's classes with these names, labels moved by the table."""
    (data / "classes.txt").write_text("\n".join(names) + "\n")
    for path in (data / "labels").iterdir():
        image = nibabel.load(path)
        labels = np.array(table, np.uint8)[np.asarray(image.dataobj)]
        nibabel.save(nibabel.Nifti1Image(labels, image.affine), path)


def test_classes_are_matched_by_name_not_by_number(atrous, data):
    named(data, ["background", "anterior", "posterior"])
    straight = json.loads(run(atrous, data, "--json")[1])
    assert not any("by name" in note for note in straight["notes"])
    named(data, ["background", "Posterior", "Anterior"], table=(0, 2, 1))
    swapped = json.loads(run(atrous, data, "--json")[1])
    assert "matched by name" in swapped["notes"].pop(0)
    assert swapped == straight


@pytest.mark.parametrize(
    "names", [["background", "liver", "spleen"], ["background", "hippocampus", "posterior"]]
)
def test_classes_that_the_network_has_not_are_refused(names, atrous, data):
    named(data, names)
    code, _, error = run(atrous, data)
    assert code == 2
    assert names[1] in error
    assert "1 anterior, 2 posterior" in error


def test_data_without_names_are_said_to_be_taken_by_number(atrous, data):
    assert "the data names no classes; taken by their numbers: 0 background" in run(atrous, data)[1]


def test_classes_that_the_data_has_not_are_not_scored_and_named(atrous, data):
    named(data, ["background", "posterior"], table=(0, 0, 1))
    record = json.loads(run(atrous, data, "--json")[1])
    assert list(record["dice"]) == ["posterior"]
    assert "not scored, since the data has no such class: anterior" in record["notes"]
