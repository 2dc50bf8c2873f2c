"""Names and descriptions of BIDS, by the text of the standard."""

import json
from pathlib import Path

import pytest

from atrous.data.volumes.scans import Scan
from atrous.errors import DataError
from atrous.reports.volumes.bids import bids_name, label, open_bids_folder

FACTS = {
    "model": "net.v1",
    "class_names": ("background", "grey\tmatter"),
    "palette": ((0, 0, 0), (255, 83, 187)),
    "values": (0, 100),
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sub-01_T1w.nii.gz", "sub-01/anat/sub-01_space-orig_desc-netv1_dseg"),
        (
            "sub-01_ses-a_acq-hi_run-2_T1w.nii.gz",
            "sub-01/ses-a/anat/sub-01_ses-a_acq-hi_run-2_space-orig_desc-netv1_dseg",
        ),
        (
            "sub-9/ses-2/anat/t1.nii.gz",
            "sub-9/ses-2/anat/sub-9_ses-2_space-orig_desc-netv1_dseg",
        ),
        ("my_scan.3.nii.gz", "sub-myscan3/anat/sub-myscan3_space-orig_desc-netv1_dseg"),
        ("nosub-01_T1w.nii", "sub-nosub01T1w/anat/sub-nosub01T1w_space-orig_desc-netv1_dseg"),
    ],
)
def test_the_source_says_the_subject(path, expected, tmp_path):
    file = tmp_path / path
    name = file.name.replace(".nii.gz", "").replace(".nii", "")
    assert bids_name(Scan(name=name, files=(None, file)), model="net.v1") == Path(expected)


def test_a_name_of_which_nothing_is_left_is_refused():
    with pytest.raises(DataError, match="no letter or digit"):
        label("_-_")


def test_the_data_set_describes_itself_and_its_labels(tmp_path):
    for _ in range(2):  # a second model, or the same one again, may join
        open_bids_folder(tmp_path, **FACTS)
    record = json.loads((tmp_path / "dataset_description.json").read_text())
    assert record["DatasetType"] == "derivative"
    assert record["GeneratedBy"][0]["Name"] == "Atrous"
    assert record.keys() >= {"Name", "BIDSVersion"}
    table = (tmp_path / "desc-netv1_dseg.tsv").read_text()
    assert table == "index\tname\tcolor\n0\tbackground\t#000000\n100\tgrey matter\t#ff53bb\n"


@pytest.mark.parametrize("text", ['{"Name": "raw"}', "no JSON", '{"GeneratedBy": [{"Name": "x"}]}'])
def test_a_data_set_of_others_is_left_alone(text, tmp_path):
    (tmp_path / "dataset_description.json").write_text(text)
    with pytest.raises(DataError, match="Atrous did not make"):
        open_bids_folder(tmp_path, **FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_description.json"]
