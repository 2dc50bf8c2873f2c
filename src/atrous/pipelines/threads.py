"""How many threads a command may use: what the machine, a container or a scheduler leaves it."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atrous.errors import DataError

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUP: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """What of a machine's processor this process may use.

    Attributes:
        total: Cores of the machine.
        usable: Cores that the process may run on, by its affinity.
        quota: Cores' worth of time that its control group is given; None without a limit.
        load: Processes that wanted to run in the last minute, on average; None where that is not
            known.
    """

    total: int
    usable: int
    quota: float | None
    load: float | None

    @property
    def threads(self) -> int:
        """Threads that have a core each: more would only wait for each other.

        The load is not in it, since another number of threads rounds sums otherwise: the same
        command must give the same bytes whether others work beside it or not.

        Example:
            >>> Cores(total=64, usable=16, quota=1.5, load=0.0).threads
            2
        """
        return max(1, min(self.usable, math.ceil(self.quota or self.usable)))

    def __str__(self) -> str:
        quota = "" if self.quota is None else f", quota of {self.quota:g}"
        load = "" if self.load is None else f", load {self.load:.1f}"
        return f"{self.usable} of {self.total} cores{quota}{load}"


def cores(*, own_group: Path = OWN_GROUP, groups: Path = CGROUPS) -> Cores:
    """What this process may use now.

    Args:
        own_group: File that says to which control groups the process belongs.
        groups: Where the control groups lie.
    """
    total = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    try:
        load: float | None = os.getloadavg()[0]
    except (OSError, AttributeError):
        load = None
    return Cores(
        total=total,
        usable=total if affinity is None else len(affinity(0)),
        quota=_quota(own_group, groups),
        load=load,
    )


def use_threads(given: int | None = None) -> None:
    """Let torch use as many threads as were given, or at most as many as have a core.

    Raises:
        DataError: If less than one was given.
    """
    import torch

    if given is not None and given < 1:
        raise DataError(f"--threads is {given}; expected at least 1; give another number.")
    if given is None and "OMP_NUM_THREADS" in os.environ:  # somebody has chosen already
        return
    wanted = given or min(torch.get_num_threads(), cores().threads)
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)


def _quota(own_group: Path, groups: Path) -> float | None:
    """The least quota of the process's group and all above it, of both versions of the kernel's."""
    try:
        lines = own_group.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found: list[float] = []
    for line in lines:
        _, controllers, place = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            root = groups
        elif "cpu" in controllers.split(","):
            root = groups / "cpu"
        else:
            continue
        folder = root / place.lstrip("/")
        # In a container the group's own folder may be mounted as the root of all.
        inside = [f for f in (folder, *folder.parents) if f == root or root in f.parents]
        found += [quota for f in (*inside, root) if (quota := _quota_of(f)) is not None]
    return min(found, default=None)


def _quota_of(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit, as `max` says
        return None
    return share if share > 0 else None
