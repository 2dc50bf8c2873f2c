"""Subsets by a list of names: order, comments, and lists that do not fit the data."""

import pytest
import torch
from torch.utils.data import DataLoader

from atrous.data import open_layout
from atrous.data.synthetic.shapes import write_mask_folder
from atrous.errors import DataError


@pytest.fixture
def root(tmp_path):
    return write_mask_folder(tmp_path / "shapes", num_images=4, size=(8, 10))


@pytest.fixture
def subset_of(root, tmp_path):
    def open_subset(text):
        listed = tmp_path / "some.txt"
        listed.write_bytes(text if isinstance(text, bytes) else text.encode())
        return open_layout("mask_folder", root, num_classes=4, subset=listed)

    return open_subset


def test_samples_come_in_the_order_of_the_list(subset_of, root):
    whole = open_layout("mask_folder", root, num_classes=4)
    subset = subset_of("# held out\n0003\n\n  0001 \n")
    assert len(subset) == 2
    assert subset.names == ("0003", "0001")
    assert [sample.name for sample in subset] == ["0003", "0001"]
    for index, at in enumerate((3, 1)):
        assert torch.equal(subset.rgb8_and_mask(index)[1], whole.rgb8_and_mask(at)[1])
        assert subset.files(index) == whole.files(at)
    with pytest.raises(IndexError):
        subset[2]


def test_lists_written_on_other_systems_are_read(subset_of):
    assert subset_of(b"\xef\xbb\xbf0002\r\n0000\r\n").names == ("0002", "0000")


def test_a_data_loader_with_workers_takes_it(subset_of):
    loader = DataLoader(subset_of("0002\n0000\n"), num_workers=1, batch_size=None)
    assert [sample.name for sample in loader] == ["0002", "0000"]


def test_names_that_are_not_in_the_data_are_counted_and_the_nearest_is_given(subset_of):
    message = r"2 of its 3 names are not in the data, the first being '0002.png' \(did you mean"
    with pytest.raises(DataError, match=message + r" '0002'\?"):
        subset_of("0001\n0002.png\nother\n")


def test_a_name_listed_twice_is_refused_with_both_lines(subset_of):
    with pytest.raises(DataError, match="lists '0001' in line 1 and again in line 3"):
        subset_of("0001\n0002\n0001\n")


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_an_empty_list_is_refused(subset_of, text):
    with pytest.raises(DataError, match="lists no name"):
        subset_of(text)


def test_a_list_that_is_missing_or_no_text_is_refused(subset_of, root, tmp_path):
    with pytest.raises(DataError, match="expected a text file with a name a line"):
        open_layout("mask_folder", root, num_classes=4, subset=tmp_path / "no.txt")
    with pytest.raises(DataError, match="expected a text file with a name a line"):
        subset_of(b"\xff\xfe\x00\x01")
