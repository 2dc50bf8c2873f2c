"""`atrous doctor`."""

import json
import platform
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from atrous._extras import install_command

if TYPE_CHECKING:
    from atrous.pipelines.threads import Cores

CORE = (
    "torch", "torchvision", "numpy", "pillow", "safetensors", "accelerate", "typer", "rich",
    "jinja2", "matplotlib",
)  # fmt: skip


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say what this machine has: versions, devices, threads, and which extras are installed."""
    facts = _facts()
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for title, section in facts.items():
        typer.echo(title)
        for name, value in section.items():
            typer.echo(f"  {name:<18} {value}")


def _facts() -> dict[str, dict[str, str]]:
    import torch

    from atrous.pipelines.threads import cores, use_threads

    use_threads()
    found = cores()
    devices = {"cpu": platform.processor() or platform.machine()}
    for index in range(torch.cuda.device_count()):
        devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return {
        "versions": {
            "atrous": _version("atrous"),
            "python": sys.version.split()[0],
            **{name: _version(name) for name in CORE},
        },
        "devices": devices,
        "threads": {
            "cores": str(found.total),
            "usable": str(found.usable),
            "quota": "none" if found.quota is None else f"{found.quota:g}",
            "load": "?" if found.load is None else f"{found.load:.1f}",
            "used": str(torch.get_num_threads()),
            "note": _busy(found),
        },
        "extras": {name: _extra(name, packages) for name, packages in extras().items()},
    }


def _busy(found: "Cores") -> str:
    """Whether others work beside us, and what to do about it."""
    if found.load is None or found.load + found.threads <= found.usable + 1:
        return "each thread has a core"
    free = max(1, round(found.usable - found.load))
    return f"others work here: --threads {free} wastes less, and may round sums otherwise"


def extras() -> dict[str, tuple[str, ...]]:
    """The packages of every extra for users, as the installed distribution declares them."""
    found: dict[str, tuple[str, ...]] = {}
    for requirement in metadata.requires("atrous") or []:
        package = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if package and extra and extra[1] != "dev":
            found[extra[1]] = (*found.get(extra[1], ()), package[0])
    return found


def _extra(name: str, packages: tuple[str, ...]) -> str:
    missing = [package for package in packages if _version(package) == "missing"]
    if missing:
        return f"missing {', '.join(missing)}; {install_command(name)}"
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
