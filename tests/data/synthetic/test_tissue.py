"""Made tissue: the same patch from the same seed, no seams, and a diagnosis that its mask tells."""

import csv
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.data import open_layout
from atrous.data.synthetic.anatomy import Tissue
from atrous.data.synthetic.tissue import (
    DIAGNOSES,
    TISSUE_PALETTE,
    TISSUES,
    diagnose,
    draw_region,
    draw_tissue,
    is_clear,
    write_tissue_folder,
)
from atrous.data.synthetic.world import Diagnosis, TissueWorld
from atrous.errors import DataError, ShapeError
from atrous.networks.label_sets import BREAST_BIOPSY


@pytest.fixture(scope="module")
def patches():
    return [draw_tissue(index, size=(128, 128), seed=9) for index in range(24)]


def test_classes_are_those_of_the_breast_biopsies():
    assert BREAST_BIOPSY.names == TISSUES
    assert BREAST_BIOPSY.palette == TISSUE_PALETTE


def test_diagnoses_are_named_in_their_order():
    assert [name.lower() for name in DIAGNOSES] == [each.name.lower() for each in Diagnosis]


def test_the_same_index_and_seed_give_the_same_patch():
    first, again = (draw_tissue(6, size=(64, 80), seed=2) for _ in range(2))
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.mask, again.mask)
    assert first.diagnosis == again.diagnosis


@pytest.mark.parametrize(("index", "seed"), [(10, 2), (6, 3)])
def test_another_index_or_seed_gives_another(index, seed):
    first, other = (
        draw_tissue(6, size=(64, 80), seed=2),
        draw_tissue(index, size=(64, 80), seed=seed),
    )
    assert (first.rgb != other.rgb).mean() > 0.5


def test_forms_and_types():
    patch = draw_tissue(0, size=(70, 93))
    assert patch.rgb.shape == (70, 93, 3)
    assert patch.mask.shape == (70, 93)
    assert patch.rgb.dtype == patch.mask.dtype == np.uint8


@settings(max_examples=12, deadline=None)
@given(
    top=st.integers(-(2**20), 2**20),
    left=st.integers(-(2**20), 2**20),
    row=st.integers(1, 69),
    column=st.integers(1, 89),
    seed=st.integers(0, 2**62),
    diagnosis=st.sampled_from(Diagnosis),
    is_mixed=st.booleans(),
)
def test_four_parts_equal_the_whole(top, left, row, column, seed, diagnosis, is_mixed):
    world = TissueWorld(seed=seed, diagnosis=diagnosis, is_mixed=is_mixed)
    whole = draw_region(top, left, (70, 90), world=world)
    parts = [
        [
            draw_region(top + y, left + x, (height, width), world=world)
            for x, width in ((0, column), (column, 90 - column))
        ]
        for y, height in ((0, row), (row, 70 - row))
    ]
    for kind in range(2):
        joined = np.concatenate(
            [np.concatenate([part[kind] for part in line], axis=1) for line in parts]
        )
        assert np.array_equal(joined, whole[kind])


def test_diagnoses_take_turns_and_follow_from_the_mask(patches):
    for index, patch in enumerate(patches):
        assert patch.diagnosis == index % 4 == diagnose(patch.mask)
        assert is_clear(patch.mask, patch.diagnosis)


def mask_with(**counts):
    """A mask of the tissues named, each on so many pixels."""
    tissues = [[Tissue[name.upper()]] * count for name, count in counts.items()]
    return np.array([list(chain.from_iterable(tissues))], np.uint8)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"normal_stroma": 90, "benign_epithelium": 10}, Diagnosis.BENIGN),
        ({"normal_stroma": 996, "malignant_epithelium": 4}, Diagnosis.BENIGN),
        ({"normal_stroma": 90, "malignant_epithelium": 10}, Diagnosis.ATYPIA),
        ({"background": 90, "malignant_epithelium": 10}, Diagnosis.ATYPIA),
        (
            {"normal_stroma": 70, "desmoplastic_stroma": 20, "malignant_epithelium": 10},
            Diagnosis.DCIS,
        ),
        (
            {"normal_stroma": 20, "desmoplastic_stroma": 70, "malignant_epithelium": 10},
            Diagnosis.INVASIVE,
        ),
        ({"desmoplastic_stroma": 100}, Diagnosis.BENIGN),
    ],
)
def test_the_rule(counts, expected):
    assert diagnose(mask_with(**counts)) == expected


def test_a_patch_near_the_border_of_the_rule_is_not_clear():
    mask = mask_with(normal_stroma=50, desmoplastic_stroma=40, malignant_epithelium=10)
    assert diagnose(mask) == Diagnosis.DCIS
    assert not any(is_clear(mask, diagnosis) for diagnosis in Diagnosis)


def test_no_pixels_are_refused():
    with pytest.raises(DataError, match="no pixels"):
        diagnose(np.zeros((0, 4), np.uint8))


def test_all_tissues_occur_often_enough_to_learn_them(patches):
    counts = sum(np.bincount(patch.mask.ravel(), minlength=len(TISSUES)) for patch in patches)
    assert (counts / counts.sum()).min() > 0.01


def test_epithelia_and_stromata_are_not_told_by_their_mean_colour(patches):
    """Between the two of a kind the means lie closer than one standard deviation of the pixels."""
    pixels = np.concatenate([patch.rgb.reshape(-1, 3) for patch in patches]).astype(float)
    classes = np.concatenate([patch.mask.ravel() for patch in patches])
    for one, other in (
        (Tissue.BENIGN_EPITHELIUM, Tissue.MALIGNANT_EPITHELIUM),
        (Tissue.NORMAL_STROMA, Tissue.DESMOPLASTIC_STROMA),
    ):
        first, second = pixels[classes == one], pixels[classes == other]
        spread = np.minimum(first.std(axis=0), second.std(axis=0))
        assert (np.abs(first.mean(axis=0) - second.mean(axis=0)) < spread).all()


@pytest.mark.parametrize("size", [(63, 100), (100,), (64, 64, 64)])
def test_sizes_that_show_no_tissue_are_refused(size):
    with pytest.raises(ShapeError, match="at least 64"):
        draw_tissue(0, size=size)


def test_a_folder_opens_as_joint_folder(tmp_path):
    calls = []
    root = write_tissue_folder(
        tmp_path / "a", num_images=4, size=(64, 72), seed=1, advance=lambda: calls.append(1)
    )
    layout = open_layout("joint_folder", root)
    assert (len(layout), len(calls)) == (4, 4)
    assert layout.class_names == TISSUES
    assert layout.label_names == DIAGNOSES
    for index in range(4):
        sample, patch = layout[index], draw_tissue(index, size=(64, 72), seed=1)
        assert sample.label == patch.diagnosis
        assert np.array_equal(sample.mask.numpy(), patch.mask)
        assert np.array_equal(np.rint(sample.image.numpy() * 255), patch.rgb.transpose(2, 0, 1))


def test_splits_share_their_classes_and_no_patch(tmp_path):
    for split, first in (("train", 0), ("val", 3)):
        write_tissue_folder(tmp_path, num_images=3, size=(64, 64), split=split, first=first)
    train, val = (open_layout("joint_folder", tmp_path, split=each) for each in ("train", "val"))
    assert train.label_names == val.label_names == DIAGNOSES
    assert not set(train.names) & set(val.names)
    with (tmp_path / "val" / "labels.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["invasive", "benign", "atypia"]


def test_writing_twice_gives_the_same_files(tmp_path):
    first = write_tissue_folder(tmp_path / "a", num_images=2, size=(64, 64))
    again = write_tissue_folder(tmp_path / "b", num_images=2, size=(64, 64))
    files = sorted(path for path in first.rglob("*") if path.is_file())
    assert len(files) == 7
    for path in files:
        assert path.read_bytes() == (again / path.relative_to(first)).read_bytes()


def test_a_folder_that_cannot_be_written_in_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written in"):
        write_tissue_folder(tmp_path / "file" / "set", num_images=1, size=(64, 64))
