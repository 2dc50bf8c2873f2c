"""Locks: one holder at a time, none that is dead."""

import errno
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time

import pytest

from atrous.errors import DataError
from atrous.inference.slides import lock as slide_lock
from atrous.inference.slides.lock import LockedError, hold


def test_a_lock_is_held_by_one_and_then_free(tmp_path):
    path = tmp_path / ".lock"
    with hold(path):
        here = f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(LockedError, match=here), hold(path):
            pass
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    with hold(path):
        pass


def test_an_error_frees_it(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / ".lock"):
        raise KeyError
    assert not (tmp_path / ".lock").exists()


def test_the_lock_of_a_dead_process_is_taken(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    record = {"host": socket.gethostname(), "process": int(dead.stdout), "token": "old"}
    (tmp_path / ".lock").write_text(json.dumps(record))
    with hold(tmp_path / ".lock"):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("age", "is_taken"), [(slide_lock.STALE - 60, False), (600, True)])
def test_the_lock_of_another_machine_is_taken_when_it_is_silent(tmp_path, age, is_taken):
    path = tmp_path / ".lock"
    path.write_text(json.dumps({"host": "elsewhere", "process": 1, "token": "old"}))
    os.utime(path, (time.time() - age,) * 2)
    if is_taken:
        with hold(path):
            assert json.loads(path.read_text())["host"] == socket.gethostname()
    else:
        with pytest.raises(LockedError, match="process 1 on elsewhere"), hold(path):
            pass


def test_a_holder_shows_that_it_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(slide_lock, "BEAT", 0.01)
    path = tmp_path / ".lock"
    with hold(path):
        os.utime(path, (1, 1))
        end = time.monotonic() + 300
        while path.stat().st_mtime == 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert path.stat().st_mtime > 1


def refuse_links(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")


def test_file_systems_without_hard_links_have_locks_too(tmp_path, monkeypatch):
    monkeypatch.setattr(slide_lock.os, "link", refuse_links)
    path = tmp_path / ".lock"
    with hold(path):
        with pytest.raises(LockedError), hold(path):
            pass
        assert json.loads(path.read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []
    path.write_text(json.dumps({"host": "elsewhere", "process": 1, "token": "old"}))
    os.utime(path, (1, 1))
    with hold(path):
        assert json.loads(path.read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_maker_died_before_it_wrote_is_taken_when_it_is_old(tmp_path):
    path = tmp_path / ".lock"
    path.touch()
    with pytest.raises(LockedError, match="another process"), hold(path):
        pass
    os.utime(path, (1, 1))
    with hold(path):
        pass


def test_files_are_written_whole_without_hard_links(tmp_path, monkeypatch):
    from atrous import _files

    monkeypatch.setattr(_files.os, "link", refuse_links)
    _files.write_text(tmp_path / "a.txt", "all of it")
    assert (tmp_path / "a.txt").read_text() == "all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(DataError, match="could not be made"), hold(tmp_path / "no" / ".lock"):
        pass


def _take(path, barrier, wins):
    barrier.wait()
    try:
        with hold(path):
            with wins.get_lock():
                wins.value += 1
            barrier.wait()  # held until all have tried
    except LockedError:
        barrier.wait()


@pytest.mark.parametrize("is_stale", [False, True])
def test_of_many_at_once_one_gets_it(tmp_path, is_stale):
    if is_stale:
        (tmp_path / ".lock").write_text(json.dumps({"host": "elsewhere", "token": "old"}))
        os.utime(tmp_path / ".lock", (1, 1))
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    barrier, wins = context.Barrier(4), context.Value("i", 0)
    processes = [
        context.Process(target=_take, args=(tmp_path / ".lock", barrier, wins)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert wins.value == 1
