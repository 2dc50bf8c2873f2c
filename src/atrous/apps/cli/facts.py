"""What traces the numbers of a page: how it was made, with what, where."""

import platform
import shlex
import sys
from importlib.metadata import version


def facts() -> dict[str, str]:
    """Command, versions and machine, by title."""
    return {
        "command": shlex.join(["atrous", *sys.argv[1:]]),
        "versions": f"atrous {version('atrous')}, torch {version('torch')}, "
        f"Python {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}",
    }
