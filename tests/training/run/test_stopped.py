"""A training that is told to stop, as schedulers tell it: the whole group, workers too."""

import os
import signal
import subprocess
import sys
import time

import pytest

from atrous.cli.train import Stop
from atrous.training.batches import _LetPass

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals to groups as on Linux")


def test_the_same_signal_twice_is_one_and_a_later_one_is_not(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stop = Stop()
    stop(signal.SIGTERM, None)
    now[0] += 0.5
    stop(signal.SIGTERM, None)  # `timeout` signals its child, and then the group
    assert stop.signal == signal.SIGTERM
    now[0] += 5
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGTERM, None)
    capsys.readouterr()


def test_ctrl_c_twice_stops_at_once(capsys):
    stop = Stop()
    stop(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
    capsys.readouterr()


def test_a_worker_lets_the_first_signal_pass_and_heeds_a_later_one(monkeypatch):
    now, sent = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("os.kill", lambda process, number: sent.append((process, number)))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    worker = _LetPass()
    worker(signal.SIGTERM, None)
    now[0] += 1
    worker(signal.SIGTERM, None)
    assert sent == []
    now[0] += 5
    worker(signal.SIGTERM, None)
    assert sent == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.slow
@pytest.mark.parametrize("num_signals", [1, 2])
def test_sigterm_to_the_group_with_workers_saves_and_says_so(tmp_path, num_signals):
    from atrous.data.synthetic.shapes import write_mask_folder

    write_mask_folder(tmp_path / "data/train", num_images=8, size=(32, 48), seed=0)
    write_mask_folder(tmp_path / "data/val", num_images=2, size=(32, 48), seed=1)
    (tmp_path / "recipe.toml").write_text(
        'name = "a.b"\nnetwork = "espnet"\nnetwork_arguments = { p = 1, q = 1 }\n'
        'layout = "mask_folder"\ndata = "data"\ntrain_split = "train"\nval_split = "val"\n'
        "num_classes = 4\nsize = [32, 48]\nepochs = 90000\nbatch_size = 2\n"
        "learning_rate = 1e-3\nnum_workers = 2\ncheckpoint_minutes = 60\nevaluate_every = 90000\n"
        "num_threads = 1\n"
    )
    command = [sys.executable, "-m", "atrous", "train", "recipe.toml", "--out", "run"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        for _ in range(1200):
            with open(children) as file:  # noqa: PTH123 - no file on a disk
                if len(file.read().split()) >= 2:
                    break
            time.sleep(0.1)
        time.sleep(3)
        for _ in range(num_signals):
            os.killpg(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, err.decode()
    assert b"which is saved" in err
    assert b"Traceback" not in err
    assert len(list((tmp_path / "run/checkpoints").glob("checkpoint-*.pt"))) == 1
