"""The results folder: indexed masks, unique names, whole files, and no mix of two weights."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from atrous._files import write_atomically
from atrous.errors import DataError
from atrous.inference import FileResult, load
from atrous.reports.photos.results import ResultsFolder, unique_names


@pytest.fixture
def result(tiny_weights):
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    prediction = load(tiny_weights).predict(image)
    return FileResult(path=Path("x.png"), image=image, prediction=prediction)


def test_a_mask_holds_indices_and_shows_colours(tiny_weights, tmp_path, result):
    card = load(tiny_weights).card
    folder = ResultsFolder(tmp_path, card)
    folder.prepare("abc", may_overwrite=False)
    assert not folder.holds("x")
    folder.write("x", result)
    assert folder.holds("x")
    with Image.open(tmp_path / "masks" / "x.png") as picture:
        assert picture.mode == "P"
        indices = np.array(picture)
        assert np.array_equal(indices, result.prediction.mask.numpy())
        shown = np.array(picture.convert("RGB"))
    assert np.array_equal(shown, np.array(card.palette, np.uint8)[indices])
    assert folder.shares("x") == result.prediction.shares()


def test_results_of_other_weights_are_not_mixed(tiny_weights, tmp_path):
    card = load(tiny_weights).card
    folder = ResultsFolder(tmp_path, card)
    folder.prepare("abc", may_overwrite=False)
    folder.prepare("abc", may_overwrite=False)
    with pytest.raises(DataError, match="holds results of other weights"):
        folder.prepare("def", may_overwrite=False)
    folder.prepare("def", may_overwrite=True)


@given(
    st.lists(
        st.builds(
            lambda folder, stem, suffix: Path(folder) / f"{stem}.{suffix}",
            st.sampled_from(["a", "b", "a/b", "/a", "/b/a"]),
            st.sampled_from(["1", "2", "a-1", "1.png"]),
            st.sampled_from(["png", "jpg"]),
        ),
        unique=True,
        max_size=12,
    )
)
def test_names_are_unique_and_plain(paths):
    names = unique_names(paths)
    assert all("/" not in name for name in names)
    assert len(set(names)) == len(paths)


def test_names_stay_short_where_they_can():
    assert unique_names([Path("d/1.png"), Path("d/2.png")]) == ["1", "2"]


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail_midway():
        with write_atomically(target) as file:
            file.write(b"half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_clear_error(tmp_path):
    target = tmp_path / "x.txt"

    def write_to_a_full_disk():
        with write_atomically(target) as file:
            file.write(b"some")
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left on device; give another place"):
        write_to_a_full_disk()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path):
    with (
        pytest.raises(DataError, match="could not be written"),
        write_atomically(tmp_path / "no" / "x.txt") as file,
    ):
        file.write(b"x")


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.write_text("")
    with write_atomically(written) as file:
        file.write(b"")
    assert written.stat().st_mode == plain.stat().st_mode
