"""Decathlon and nnU-Net: channels in order, labels, regions and `ignore` by `dataset.json`."""

import json

import numpy as np
import pytest

from atrous.data.catalog import open_layout
from atrous.data.layouts.dataset_json import dataset_facts
from atrous.errors import DataError, UnknownNameError

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

SHAPE = (3, 2, 2)
LABELS = {"background": 0, "core": 1, "rim": 2}
REGIONS = {"background": 0, "whole": [1, 2], "rim": 2}


def put(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(values), np.eye(4)), path)


def labelled(*values):
    labels = np.zeros(SHAPE, np.uint8)
    labels.flat[: len(values)] = values
    return labels


def nnunet(root, labels, *, names=("a",), values=(0, 1, 2)):
    channels = {"1": "FLAIR", "0": "T1", "10": "T2", "2": "CE"}
    channels = {key: channels[key] for key in ("1", "0", "2")}
    record = {"channel_names": channels, "labels": labels, "file_ending": ".nii.gz"}
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps({**record, "numTraining": len(names)}))
    for name in names:
        for channel in range(3):
            path = root / "imagesTr" / f"{name}_{channel:04d}.nii.gz"
            put(path, np.full(SHAPE, channel, np.int16))
        put(root / "labelsTr" / f"{name}.nii.gz", labelled(*values))
    return root


def decathlon(root, labels, *, values=(0, 1, 2), **changes):
    record = {
        "modality": {str(i): f"m{i}" for i in (10, 2, 0, 1, *range(3, 10))},
        "labels": labels,
        "training": [{"image": "./imagesTr/a_1.nii.gz", "label": "./labelsTr/a_1.nii.gz"}],
    }
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps({**record, **changes}))
    stacked = np.broadcast_to(np.arange(11, dtype=np.int16), (*SHAPE, 11))
    put(root / "imagesTr" / "a_1.nii.gz", stacked)
    put(root / "labelsTr" / "a_1.nii.gz", labelled(*values))
    return root


def opened(layout, root, **options):
    return open_layout(layout, root, **options).require("volumes")


def classes(layout):
    """Of the first voxels, in the file's order."""
    return layout[0].mask.permute(2, 1, 0).flatten()[:4].tolist()


def test_channels_go_by_number_not_by_the_order_in_the_file(tmp_path):
    layout = opened("nnunet", nnunet(tmp_path, LABELS))
    assert layout.channel_names == ("T1", "FLAIR", "CE")
    assert layout[0].image[:, 0, 0, 0].tolist() == [0, 1, 2]
    layout = opened("decathlon", decathlon(tmp_path / "d", LABELS))
    assert layout.channel_names == tuple(f"m{i}" for i in range(11))  # 10 after 9, not after 1
    assert layout[0].image[:, 0, 0, 0].tolist() == list(range(11))


@pytest.mark.parametrize(("name", "write"), [("nnunet", nnunet), ("decathlon", decathlon)])
def test_names_of_classes_either_way_round(name, write, tmp_path):
    for number, labels in enumerate((LABELS, {"0": "background", "1": "core", "2": "rim"})):
        layout = opened(name, write(tmp_path / str(number), labels))
        assert layout.class_names == ("background", "core", "rim")
        assert (layout.num_classes, dict(layout.regions)) == (3, {})
        assert classes(layout) == [0, 1, 2, 0]


@pytest.mark.parametrize(("name", "write"), [("nnunet", nnunet), ("decathlon", decathlon)])
def test_regions_are_unions_of_classes_and_ignore_is_unlabelled(name, write, tmp_path):
    labels = {**REGIONS, "ignore": 3}
    layout = opened(name, write(tmp_path, labels, values=(3, 2, 1)))
    assert layout.regions == {"whole": (1, 2), "rim": (2,)}
    assert (layout.num_classes, layout.class_names) == (3, None)
    assert classes(layout) == [255, 2, 1, 0]


def test_the_labelled_test_part_of_nnunet_is_a_split(tmp_path):
    nnunet(tmp_path, LABELS)
    for kind in ("images", "labels"):
        (tmp_path / f"{kind}Tr").rename(tmp_path / f"{kind}Ts")
    assert opened("nnunet", tmp_path, split="test").names == ("a",)
    with pytest.raises(UnknownNameError, match="val"):
        opened("nnunet", tmp_path, split="val")
    with pytest.raises(UnknownNameError, match="test"):
        opened("decathlon", decathlon(tmp_path / "d", LABELS), split="test")


MISSING = {
    "a channel": ("imagesTr/b_0001.nii.gz", r"Case 'b' has 2 channels and lacks 0001 \(FLAIR\)"),
    "the labels": ("labelsTr/b.nii.gz", "no labels of case 'b'"),
}


@pytest.mark.parametrize("what", MISSING)
def test_the_patient_of_a_missing_file_is_named(what, tmp_path):
    file, message = MISSING[what]
    nnunet(tmp_path, LABELS, names=("a", "b"))
    (tmp_path / file).unlink()
    with pytest.raises(DataError, match=message):
        opened("nnunet", tmp_path)


def test_a_file_of_unknown_channel_is_named(tmp_path):
    nnunet(tmp_path, LABELS)
    put(tmp_path / "imagesTr" / "a_adc.nii.gz", labelled(0))
    with pytest.raises(DataError, match=r"a_adc\.nii\.gz: no channel in its name"):
        opened("nnunet", tmp_path)
    (tmp_path / "imagesTr" / "a_adc.nii.gz").rename(tmp_path / "imagesTr" / "a_0007.nii.gz")
    with pytest.raises(DataError, match="Case 'a' has 4 channels; expected 3"):
        opened("nnunet", tmp_path)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_file_that_is_listed_and_not_there_is_named(kind, tmp_path):
    decathlon(tmp_path, LABELS)
    (tmp_path / f"{kind}sTr" / "a_1.nii.gz").unlink()
    with pytest.raises(DataError, match=rf"{kind}sTr/a_1\.nii\.gz is not there"):
        opened("decathlon", tmp_path)


def test_a_case_that_is_listed_twice_is_refused(tmp_path):
    entry = {"image": "imagesTr/a_1.nii.gz", "label": "labelsTr/a_1.nii.gz"}
    with pytest.raises(DataError, match="Case 'a_1' is there twice"):
        opened("decathlon", decathlon(tmp_path, LABELS, training=[entry, entry]))


def test_a_label_that_dataset_json_does_not_know_is_told_with_its_file(tmp_path):
    layout = opened("nnunet", nnunet(tmp_path, LABELS, values=(0, 5)))
    with pytest.raises(DataError, match=r"labelsTr/a\.nii\.gz: holds class 5"):
        layout.volume_and_mask(0)


BROKEN = {
    "no JSON": "{",
    "no object": "[]",
    "no labels": '{"channel_names": {"0": "T1"}}',
    "a gap": '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "core": 2}}',
    "no number": '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "core": "one"}}',
    "an empty region": '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "core": []}}',
}


@pytest.mark.parametrize("name", ["nnunet", "decathlon"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_description_is_told_in_one_line(fault, name, tmp_path):
    nnunet(tmp_path, LABELS)
    (tmp_path / "dataset.json").write_text(BROKEN[fault])
    with pytest.raises(DataError) as error:
        opened(name, tmp_path)
    assert "dataset.json" in str(error.value)
    assert "; expected " in str(error.value)
    assert "\n" not in str(error.value)


def test_one_modality_and_labels_may_be_a_name_and_a_list(tmp_path):
    root = nnunet(tmp_path, LABELS)
    record = json.loads((root / "dataset.json").read_text())
    record["channel_names"] = ["T1", "FLAIR", "CE"]
    record["labels"] = ["background", "core", "rim"]
    (root / "dataset.json").write_text(json.dumps(record))
    layout = opened("nnunet", root)
    assert layout.channel_names == ("T1", "FLAIR", "CE")
    assert layout.class_names == ("background", "core", "rim")
    found = dataset_facts({"modality": "CT", "labels": {"0": "background"}}, path=root)
    assert found.channel_names == ("CT",)
