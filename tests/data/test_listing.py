"""Listing images: files, folders and patterns, in the order people count."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atrous.data import list_images
from atrous.data.listing import natural_key
from atrous.errors import DataError


@pytest.fixture
def tree(tmp_path):
    names = "a10.png a2.JPG a1.jpeg notes.txt .hidden.png sub/b1.webp sub/deep/c1.tif .git/d.png"
    for name in names.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_gives_its_images_in_natural_order_and_no_sub_folders(tree):
    assert names(list_images([tree]), tree) == ["a1.jpeg", "a2.JPG", "a10.png"]


def test_a_file_is_taken_whatever_its_suffix(tree):
    assert names(list_images([tree / "notes.txt"]), tree) == ["notes.txt"]


def test_a_pattern_gives_matching_images(tree):
    assert names(list_images([tree / "a1*"]), tree) == ["a1.jpeg", "a10.png"]
    assert names(list_images([tree / "*.txt", tree / "a2*"][1:]), tree) == ["a2.JPG"]


def test_two_stars_search_all_sub_folders_but_hidden_ones(tree):
    found = names(list_images([str(tree / "**")]), tree)
    assert found == ["a1.jpeg", "a2.JPG", "a10.png", "sub/b1.webp", "sub/deep/c1.tif"]


def test_several_paths_are_joined_and_each_image_is_listed_once(tree):
    (tree / "link.png").symlink_to(tree / "a10.png")
    paths = [tree / "sub", tree / "a10.png", tree, tree / "sub" / ".." / "a2.JPG"]
    found = {path.resolve() for path in list_images(paths)}
    assert len(list_images(paths)) == len(found) == 4


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    (tmp_path / "photo[1].png").touch()
    assert names(list_images([tmp_path / "photo[1].png"]), tmp_path) == ["photo[1].png"]


def test_relative_paths_stay_relative(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list_images(["a2.JPG", "sub"]) == [Path("a2.JPG"), Path("sub/b1.webp")]


def test_a_folder_without_images_is_refused_with_the_suffixes(tmp_path):
    with pytest.raises(
        DataError, match=r"no image in this folder; expected files ending in \.avif, \.bmp"
    ):
        list_images([tmp_path])


def test_a_pattern_without_matches_is_refused(tree):
    with pytest.raises(DataError, match=r"\*.gif: no image matches this pattern"):
        list_images([tree, tree / "*.gif"])


@pytest.mark.parametrize("name", ["missing", "missing.png", "x" * 300, "null\0"])
def test_a_missing_path_is_refused(tree, name):
    with pytest.raises(DataError, match="expected a file, folder or pattern"):
        list_images([tree / name])


def test_no_paths_are_refused():
    with pytest.raises(DataError, match="No paths were given"):
        list_images([])


def test_a_folder_that_may_not_be_listed_is_refused(tree, monkeypatch):
    def forbid(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tree), "iterdir", forbid)  # root may list anything, so it is acted
    with pytest.raises(DataError, match=f"{tree}: Permission denied"):
        list_images([tree])


@given(data=st.data(), texts=st.lists(st.text(alphabet="aB0123456789²٣_/", max_size=12)))
def test_the_order_of_any_names_does_not_depend_on_where_it_starts(data, texts):
    paths = [Path(text) for text in texts]
    shuffled = data.draw(st.permutations(paths))
    assert sorted(paths, key=natural_key) == sorted(shuffled, key=natural_key)


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_in_names_are_counted(numbers):
    paths = [Path(f"frame{number}.png") for number in numbers]
    expected = [Path(f"frame{number}.png") for number in sorted(numbers)]
    assert sorted(paths, key=natural_key) == expected


def test_zero_padding_breaks_ties_the_same_way_on_every_run(tmp_path):
    for name in ("a1.png", "a01.png", "A1.png"):
        (tmp_path / name).touch()
    listed = list_images([tmp_path])
    assert list_images(listed[::-1]) == listed


def found(*paths, recursive=False):
    from atrous.data.inputs import find_inputs

    return find_inputs(paths, takes_volumes=False, model="m", recursive=recursive)


def test_folders_inside_are_said_and_searched_if_asked(tmp_path):
    for place in ("a.png", "in/b.png", "in/deep/c.png", ".hidden/d.png", "__MACOSX/e.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    inputs = found(tmp_path)
    assert [path.name for path in inputs.paths] == ["a.png"]
    assert inputs.left_out == {
        tmp_path / "in": "it is a folder inside; name it, or give --recursive"
    }
    inputs = found(tmp_path, recursive=True)
    assert [path.name for path in inputs.paths] == ["a.png", "b.png", "c.png"]
    assert inputs.left_out == {}


def test_a_folder_with_pictures_only_inside_is_searched_if_asked(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.png").write_bytes(b"x")
    with pytest.raises(DataError, match="no image in this folder"):
        found(tmp_path)
    assert [path.name for path in found(tmp_path, recursive=True).paths] == ["b.png"]


def test_pictures_that_a_plug_in_reads_are_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("atrous.data.listing.IMAGE_SUFFIXES", frozenset({".png"}))
    for name in ("a.png", "b.heic", "c.psd"):
        (tmp_path / name).write_bytes(b"x")
    reasons = {path.name: reason for path, reason in found(tmp_path).left_out.items()}
    assert "[images]" in reasons["b.heic"]
    assert "save it as JPEG" in reasons["c.psd"]
