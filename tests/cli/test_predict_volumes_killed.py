"""`predict` on volumes in parts, killed before every write: the same bytes in the end."""

import json
import subprocess
import sys

import numpy as np
import pytest

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

from atrous.inference.fold import fold  # noqa: E402
from atrous.inference.volumes.plan import BASE, plan_volume  # noqa: E402
from atrous.networks.catalog import build_network  # noqa: E402

SIZE = (26, 30, 37)
"""Of the scan's file: W, H, D."""

# One process runs it whole, and then forks one for every kill: the k-th ends with its k-th file.
KILLED = """
import os, signal, sys
import torch
from atrous.cli.main import main
from atrous.inference.tiles.sums import SumsFile

torch.set_num_threads(1)
keep, replace, left = SumsFile.keep, os.replace, 0

def keeping_every(self, sums, num_done):
    self._keep_every = 0
    keep(self, sums, num_done)

def killing(*arguments, **options):
    global left
    replace(*arguments, **options)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

out = sys.argv.index("--out") + 1
try:
    main()
except SystemExit as end:
    assert not end.code
sys.argv[out] = sys.argv[out].replace("whole", "killed")
SumsFile.keep, os.replace = keeping_every, killing
kills, end = 0, signal.SIGKILL
while end == signal.SIGKILL:
    left = kills + 1
    child = os.fork()
    if child == 0:
        main()
    end = os.waitpid(child, 0)[1]
    kills += end == signal.SIGKILL
print(end, kills)
"""


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return path


def tight():
    """A ceiling that holds parts of the scan but not the whole."""
    network = build_network(
        "residual_unet", {"in_channels": 1, "width": 2, "num_stages": 2, "num_classes": 3}
    )
    plan = plan_volume(fold(network), (38, 30, 26), in_channels=1, num_classes=3, wish="whole")
    return BASE + (plan.needed - BASE) * 9 // 10


@pytest.mark.parametrize("context", ["exact", "blended"])
@pytest.mark.slow
def test_the_bytes_are_those_of_a_run_that_was_left_alone(volume_weights, scan, tmp_path, context):
    command = (
        sys.executable,
        "-c",
        KILLED,
        "predict",
        volume_weights,
        scan,
        "--out",
        tmp_path / "whole",
    )
    more = ("--context", context, "--memory", tight(), "--device", "cpu")
    done = subprocess.run(map(str, (*command, *more)), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    end, kills = map(int, done.stdout.split()[-2:])
    assert end == 0, done.stderr
    assert kills >= 4  # among the parts, and among the four results
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "killed").iterdir()} == expected
    record = json.loads(expected["scan.json"])
    assert (record["context"], record["parts"] > 1) == (context, True)
    assert len(np.unique(nibabel.load(tmp_path / "whole/scan.nii.gz").dataobj)) == 3
