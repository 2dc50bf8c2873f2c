"""What traces the numbers of a page: how it was made, with what, where."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def facts() -> dict[str, str]:
    """Command, versions and machine, by title."""
    return {
        "command": shlex.join(["atrous", *sys.argv[1:]]),
        "versions": f"atrous {version('atrous')}, torch {version('torch')}, "
        f"Python {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str | None:
    """The commit of the code, if it runs from a checkout; with a plus if files have changed."""
    folder = Path(__file__).resolve().parent
    git = ("git", "-C", str(folder))
    try:
        head = subprocess.run(  # noqa: S603 - fixed arguments
            (*git, "rev-parse", "--short=12", "HEAD"), capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(  # noqa: S603
            (*git, "status", "--porcelain", "--untracked-files=no"),
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or an installed package
    return head + ("+" if changed else "")
