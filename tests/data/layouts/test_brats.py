"""BraTS: every generation of names, labels with and without a 4, patients that lack a file."""

import numpy as np
import pytest

from atrous.data.catalog import open_layout
from atrous.errors import DataError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

GENERATIONS = [
    ("BraTS19_2013_0_1", "BraTS19_2013_0_1_{}", ("flair", "t1", "t1ce", "t2", "seg")),
    ("BraTS-GLI-00001-000", "BraTS-GLI-00001-000-{}", ("t2f", "t1n", "t1c", "t2w", "seg")),
    ("brats_2013_pat1", "{}", ("Flair_norm", "T1_norm", "T1c_norm", "T2_norm", "OTMultiClass")),
    ("BraTS-GLI-02062-101", "BraTS-GLI-02062-101-{}", ("t2f", "t1n", "t1c", "t2w", "seg")),
    ("BraTS-PED-00002-000", "BraTS-PED-00002-000-{}", ("t2f", "t1n", "t1c", "t2w", "seg")),
]


def write(folder, pattern, words, labels=(0, 1, 2)):
    folder.mkdir(parents=True)
    for value, word in enumerate(words):
        values = np.full((2, 2, 2), value, np.int16)
        if word == words[-1]:
            values[0, 0, 0] = 0
            values.flat[: len(labels)] = labels
            values.flat[len(labels) :] = 0
        nibabel.save(
            nibabel.Nifti1Image(values, np.eye(4)), folder / f"{pattern.format(word)}.nii.gz"
        )


@pytest.mark.parametrize(("patient", "pattern", "words"), GENERATIONS)
def test_channels_of_every_generation_come_in_one_order(patient, pattern, words, tmp_path):
    write(tmp_path / patient, pattern, words)
    layout = open_layout("brats", tmp_path).require("volumes")
    assert layout.names == (patient,)
    assert layout.channel_names == ("flair", "t1", "t1ce", "t2")
    assert layout[0].image[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("generation", "labels", "classes"),
    [
        (0, (0, 1, 2, 4), [0, 1, 2, 3]),  # 2017 to 2021
        (1, (0, 1, 2, 3), [0, 1, 2, 3]),  # 2023 on
        (2, (0, 1, 2, 3, 4), [0, 1, 2, 1, 3]),  # 2015: 3 is the core that does not enhance
        (2, (0, 1, 2, 3), [0, 1, 2, 1]),
        (3, (0, 1, 2, 3, 4), [0, 1, 2, 3, 4]),  # after treatment: 4 is the resection cavity
        (4, (0, 1, 2, 3, 4), [0, 1, 2, 3, 4]),  # children
    ],
)
def test_labels_of_every_convention_become_the_same_classes(generation, labels, classes, tmp_path):
    patient, pattern, words = GENERATIONS[generation]
    write(tmp_path / patient, pattern, words, labels)
    mask = open_layout("brats", tmp_path).require("volumes")[0].mask
    in_file_order = mask.permute(2, 1, 0).flatten()
    assert in_file_order[: len(classes)].tolist() == classes


def test_a_patient_that_lacks_a_file_is_named_with_what_it_lacks(tmp_path):
    for number in (1, 2):
        write(tmp_path / f"p{number}", "{}", ("flair", "t1", "t1ce", "t2", "seg"))
    (tmp_path / "p2" / "t1ce.nii.gz").rename(tmp_path / "p2" / "adc.nii.gz")
    with pytest.raises(DataError, match=r"p2: has no t1ce, .* unknown modality \(adc\.nii\.gz\)"):
        open_layout("brats", tmp_path)


@pytest.mark.real
def test_both_real_cases_are_read(shared):
    four = open_layout("brats", shared / "data" / "brain_tumour_4mod").require("volumes")
    assert four.channel_names == ("flair", "t1", "t1ce", "t2")
    two = open_layout("brats", shared / "data" / "brain_tumour_2015", split="train")
    assert two.channel_names == ("flair", "t1ce")
    assert two[0].mask.unique().tolist() == [0, 1, 2, 3]


def opened(root, *patients, name="brats"):
    for patient, labels in patients:
        write(root / patient, "{}", ("flair", "t1", "t1ce", "t2", "seg"), labels)
    return open_layout(name, root).require("volumes")


def test_visits_of_one_data_set_have_one_key_whatever_each_file_holds(tmp_path):
    """A cavity in one visit does not turn the other labels of that visit into something else."""
    data = opened(
        tmp_path, ("BraTS-GLI-02062-100", (0, 1, 2, 3)), ("BraTS-GLI-02062-101", (0, 1, 2, 3, 4))
    )
    assert data.class_names[3:] == ("enhancing tumour", "resection cavity")
    assert data[0].mask.unique().tolist() == [0, 1, 2, 3]
    assert data[1].mask.unique().tolist() == [0, 1, 2, 3, 4]
    assert data.regions["ET"] == (3,)
    assert data.regions["WT"] == (1, 2, 3)


def test_children_have_classes_of_their_own(tmp_path):
    data = opened(tmp_path, ("BraTS-PED-00002-000", (0, 1, 2, 3, 4)))
    assert data.class_names[1] == "enhancing tumour"
    assert (data.regions["ET"], data.regions["TC"]) == ((1,), (1, 2, 3))


def test_a_label_that_the_key_does_not_have_is_refused(tmp_path):
    data = opened(tmp_path, ("BraTS20_Training_001", (0, 1, 2, 3)))
    with pytest.raises(DataError, match="holds the label 3; expected 1 necrosis, 2 oedema, 4 enh"):
        data.volume_and_mask(0)


def test_patients_of_several_challenges_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"several challenges.*BraTS-PED-00002-000 \(ped\)"):
        opened(tmp_path, ("BraTS-PED-00002-000", (0, 1)), ("BraTS-GLI-00001-000", (0, 1)))


def test_where_no_name_says_it_all_labels_together_decide_or_the_user(tmp_path):
    of_2017 = opened(tmp_path / "a", ("p1", (0, 1, 2)), ("p2", (0, 1, 4)))
    assert of_2017[1].mask.unique().tolist() == [0, 1, 3]
    with pytest.raises(DataError, match="labels 3 and 4 occur"):
        opened(tmp_path / "b", ("p1", (0, 1, 3)), ("p2", (0, 1, 4)))
    named = open_layout("brats_post_treatment", tmp_path / "b").require("volumes")
    assert named[1].mask.unique().tolist() == [0, 1, 4]
