"""Divisions by name: stable under order and additions, near the share, groups kept together."""

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atrous.data.layouts.name_list import read_names
from atrous.data.split import fold_names, split_names
from atrous.errors import DataError

NAMES = [f"image-{number}" for number in range(2000)]


def test_every_name_is_in_one_part_in_its_order():
    first, rest = split_names(NAMES)
    assert sorted(first + rest) == sorted(NAMES)
    assert list(first) == [name for name in NAMES if name in set(first)]


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.2, 0.5, 0.8]))
def test_the_share_is_that_of_coin_tosses(seed, share):
    first, _ = split_names(NAMES, share=share, seed=seed)
    spread = math.sqrt(len(NAMES) * share * (1 - share))
    assert abs(len(first) - share * len(NAMES)) < 6 * spread


def test_neither_order_nor_additions_move_a_name():
    first, _ = split_names(NAMES[:500], seed=3)
    again, _ = split_names(NAMES[::-1], seed=3)
    assert set(first) == set(again) & set(NAMES[:500])


def test_another_seed_is_another_division_and_the_same_the_same():
    assert split_names(NAMES, seed=1) != split_names(NAMES, seed=2)
    assert split_names(NAMES, seed=1) == split_names(NAMES, seed=1)


def test_it_is_the_division_that_the_hash_gives():
    at = {name: int(hashlib.sha256(f"0:{name}".encode()).hexdigest()[:12], 16) for name in NAMES}
    first, _ = split_names(NAMES, share=0.25)
    assert set(first) == {name for name in NAMES if at[name] < 2**48 // 4}


def test_groups_stay_together_and_meet_through_shared_members():
    groups = [NAMES[i : i + 3] for i in range(0, 300, 3)] + [[NAMES[2], NAMES[3]]]
    first = set(split_names(NAMES, share=0.5, together=groups)[0])
    assert all(len({name in first for name in group}) == 1 for group in groups)
    alone = set(split_names(NAMES, share=0.5)[0])
    assert all((name in first) == (name in alone) for name in NAMES[300:])


@pytest.mark.parametrize("share", [0, 1, -0.5, 80, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(DataError, match="expected one between 0 and 1"):
        split_names(NAMES, share=share)


def test_an_empty_part_is_refused():
    with pytest.raises(DataError, match="fall into one part"):
        split_names(["a"])


def test_folds_share_nothing_hold_all_and_keep_subjects_together():
    names = [f"sub-{index // 2}_ses-{index % 2}" for index in range(20)]
    together = [names[index : index + 2] for index in range(0, 20, 2)]
    folds = fold_names(names, num_folds=5, together=together)
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    assert [len(fold) for fold in folds] == [4] * 5
    for fold in folds:
        assert len({name.partition("_")[0] for name in fold}) == 2
    again = fold_names(names[::-1], num_folds=5, together=together)
    assert [set(fold) for fold in again] == [set(fold) for fold in folds]
    for wrong in (1, 11):
        with pytest.raises(DataError, match="expected 2 to 10"):
            fold_names(names, num_folds=wrong, together=together)


def test_folds_of_nnunet_are_read(tmp_path):
    folds = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["a"], "val": ["b", "c"]}]
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps(folds))
    assert read_names(tmp_path / "splits_final.json#0.train") == ("b", "c")
    assert read_names(tmp_path / "splits_final.json#1.val") == ("b", "c")
    with pytest.raises(DataError, match="no part 'val' of fold 2"):
        read_names(tmp_path / "splits_final.json#2.val")
    path.write_text(json.dumps([{"train": ["a", "a"], "val": []}]))
    for part in ("train", "val"):
        with pytest.raises(DataError, match="every name once"):
            read_names(tmp_path / f"splits_final.json#0.{part}")
