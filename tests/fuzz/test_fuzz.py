"""Mutated files: some of each format at every run, many at random in the real tier."""

import pytest

pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("SimpleITK", reason="needs the extra volumes")

from tests.fuzz.__main__ import cases_of, judged
from tests.fuzz.formats import FORMATS
from tests.fuzz.judge import _expected, judge

SECONDS = 45.0
"""That the search of the real tier takes."""


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_file_is_read(kind):
    assert _expected(kind) is not None


@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files_are_read_or_refused_in_words(kind):
    for seed in range(4):
        verdict = judge(kind, seed)
        assert not verdict.fault, verdict


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("mask_png", 2000016),  # pixels of another checksum
        ("tiff_jpeg", 7000001),  # a page without a size
        ("labelme", 7000005),  # a list for the kind of a shape
        ("dataset_json", 7000048),  # a label without end
    ],
)
def test_what_was_found_once_is_mended(kind, seed):
    verdict = judge(kind, seed)
    assert not verdict.fault, verdict


@pytest.mark.real
def test_a_search_finds_no_fault(search_seed):
    import time

    end = time.monotonic() + SECONDS
    for verdict in judged(cases_of(20_000, 1 + search_seed)):
        assert not verdict.fault, verdict
        if time.monotonic() > end:
            break
