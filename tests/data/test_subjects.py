"""Whom samples are of, by the names of BIDS, BraTS, TCGA, and by a pattern."""

import pytest

from atrous.data.split import split_names
from atrous.data.subjects import subject_groups
from atrous.errors import DataError


@pytest.mark.parametrize(
    "names",
    [
        ("sub-00_ses-1", "sub-00_ses-2"),
        ("sub-00/ses-1/anat/sub-00_ses-1_T1w", "sub-00/ses-2/anat/sub-00_ses-2_T1w"),
        ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001"),
        ("BraTS19_TCIA01_131_1", "BraTS19_TCIA01_131_2"),
        ("brats_2013_pat0005_1", "brats_2013_pat0005_2"),
        ("TCGA-CR-7395-01A-01-TS1", "tcga-cr-7395-01a-02-ts2"),
    ],
)
def test_visits_of_one_subject_are_a_group(names):
    others = (
        "sub-01_ses-1",
        "BraTS-GLI-00002-000",
        "TCGA-CR-7396-01A-01-TS1",
        "photo_1",
        "photo_2",
    )
    assert subject_groups((*names, *others)) == [list(names)]


def test_a_pattern_says_whom_a_sample_is_of():
    assert subject_groups(["a_1", "b_1", "a_2"], r"^(\w)_") == [["a_1", "a_2"]]


@pytest.mark.parametrize(("pattern", "words"), [("(", "no regular expression"), ("^z", "none of")])
def test_a_pattern_that_does_not_help_is_told(pattern, words):
    with pytest.raises(DataError, match=words):
        subject_groups(["a_1"], pattern)


def test_no_subject_is_divided():
    names = [f"sub-{s:02d}_ses-{v}" for s in range(40) for v in (1, 2, 3)]
    first, rest = split_names(names, share=0.6, together=subject_groups(names))
    assert {name[:6] for name in first}.isdisjoint(name[:6] for name in rest)
