"""The journal of a run: what was noted stays noted, whatever tears its end."""

import pytest

from atrous._journal import Journal
from atrous.errors import DataError

RUN = {"weights": "abc", "grid": [1, 2]}


def noted(path, run=RUN):
    with Journal(path, run=run) as journal:
        return journal.records


def test_records_come_back_in_order(tmp_path):
    with Journal(tmp_path / "journal", run=RUN) as journal:
        assert journal.records == []
        journal.add({"place": [0, 1]})
        journal.add({"place": [0, 2], "labels": (0.25, 0.75)})
    assert noted(tmp_path / "journal") == [
        {"place": [0, 1]},
        {"place": [0, 2], "labels": [0.25, 0.75]},
    ]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_end_is_cut_off_and_written_over(tmp_path, cut):
    path = tmp_path / "journal"
    with Journal(path, run=RUN) as journal:
        journal.add({"place": [0, 1]})
        journal.add({"place": [0, 2], "checksum": 123456})
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, run=RUN) as journal:
        assert journal.records == [{"place": [0, 1]}]
        journal.add({"place": [7, 7]})
    assert noted(path) == [{"place": [0, 1]}, {"place": [7, 7]}]


def test_bytes_that_changed_end_it_there(tmp_path):
    path = tmp_path / "journal"
    with Journal(path, run=RUN) as journal:
        for place in range(3):
            journal.add({"place": [0, place]})
    path.write_bytes(path.read_bytes().replace(b"[0, 1]", b"[0, 9]"))
    assert noted(path) == [{"place": [0, 0]}]


def test_a_torn_first_line_begins_it_anew(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(b"3f00 {")
    assert noted(path) == []


def test_the_journal_of_another_run_is_refused(tmp_path):
    noted(tmp_path / "journal")
    with pytest.raises(DataError, match="it differs in weights"):
        noted(tmp_path / "journal", {**RUN, "weights": "xyz"})
