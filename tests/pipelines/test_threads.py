"""Threads by what is left: files as the kernel writes them, and what follows from them."""

import os

import pytest
import torch

from atrous.errors import DataError
from atrous.pipelines.threads import Cores, cores, use_threads


def groups(tmp_path, own, files):
    """A process's group file and the folders of groups."""
    (tmp_path / "cgroup").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return cores(own_group=tmp_path / "cgroup", groups=tmp_path / "groups")


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/../x\n", {"cpu.max": "300000 100000\n"}, 3),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, None),
        ("0::/a\n", {}, None),
        (
            "5:cpu,cpuacct:/j\n3:memory:/j\n",
            {"cpu/j/cpu.cfs_quota_us": "250000\n", "cpu/j/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "5:cpu,cpuacct:/j\n",
            {"cpu/j/cpu.cfs_quota_us": "-1\n", "cpu/j/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("nonsense\n", {"cpu.max": "nonsense"}, None),
    ],
)
def test_the_least_quota_of_all_groups_holds(tmp_path, own, files, quota):
    assert groups(tmp_path, own, files).quota == quota


def test_no_groups_mean_no_quota(tmp_path):
    assert cores(own_group=tmp_path / "none", groups=tmp_path).quota is None


@pytest.mark.parametrize(
    ("usable", "quota", "threads"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.25, 1), (1, 4.0, 1), (4, 16.0, 4)],
)
def test_threads_have_a_core_each_whatever_the_load(usable, quota, threads):
    for load in (0.0, 100.0, None):
        assert Cores(total=64, usable=usable, quota=quota, load=load).threads == threads


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_affinity_is_the_processs_own():
    assert cores().usable == len(os.sched_getaffinity(0))


def test_what_was_given_is_used(monkeypatch):
    before = torch.get_num_threads()
    try:
        use_threads(3)
        assert torch.get_num_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        use_threads()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    with pytest.raises(DataError, match="--threads is 0"):
        use_threads(0)
