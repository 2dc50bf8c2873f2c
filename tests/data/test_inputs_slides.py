"""DICOM slides, whose levels lie in several files, are one slide each."""

import pytest

from atrous.data import inputs
from atrous.data.inputs import find_inputs

pytest.importorskip("openslide", reason="needs the extra slides")


def test_files_of_one_series_and_folder_are_one_slide(tmp_path, monkeypatch):
    series = {"1.dcm": "A", "2.dcm": "A", "3.dcm": "B", "4.dcm": "A", "5.dcm": None}
    for name in series:
        (tmp_path / name).write_bytes(b"level")
    monkeypatch.setattr(inputs, "dicom_series", lambda path: series[path.name])
    found = find_inputs([tmp_path], takes_volumes=False, model="m")
    assert [path.name for path in found.paths] == ["1.dcm", "3.dcm", "5.dcm"]
    assert {path.name for path in found.left_out} == {"2.dcm", "4.dcm"}
    assert "the same slide as 1.dcm" in found.left_out[tmp_path / "2.dcm"]


def test_one_series_in_two_folders_is_two_slides(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.dcm").write_bytes(b"level")
    monkeypatch.setattr(inputs, "dicom_series", lambda _: "A")
    found = find_inputs([tmp_path / "a", tmp_path / "b"], takes_volumes=False, model="m")
    assert len(found.paths) == 2
