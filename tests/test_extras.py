"""Commands that install an extra work from where the package came from."""

import json
import re
import shlex
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from atrous import _extras

ROOT = Path(__file__).parents[1]


class _Installed:
    """A distribution whose `direct_url.json` is what pip wrote (PEP 610)."""

    version = "1.0"

    def __init__(self, origin: object) -> None:
        self.text = None if origin is None else json.dumps(origin)

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.text


def command_of(monkeypatch: pytest.MonkeyPatch, origin: object) -> list[str]:
    monkeypatch.setattr(metadata, "distribution", lambda _name: _Installed(origin))
    words = shlex.split(_extras.install_command("slides"))
    return words[words.index("install") + 1 :]


def test_from_an_index_the_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command_of(monkeypatch, None)[-1] == "atrous[slides]"


def test_from_a_wheel_in_a_folder_with_a_blank(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = tmp_path / "my wheels" / "atrous-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    command = command_of(monkeypatch, {"url": wheel.as_uri(), "archive_info": {}})
    assert command[-1] == f"{wheel}[slides]"
    assert "-e" not in command


def test_from_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    assert command_of(monkeypatch, origin)[-2:] == ["-e", f"{tmp_path}[slides]"]


def test_from_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://example.org/atrous-1.0-py3-none-any.whl"
    assert command_of(monkeypatch, {"url": address})[-1] == f"atrous[slides] @ {address}"


def test_every_extra_that_the_code_names_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text().splitlines()
        for name in re.findall(r"""(?:extra=|install_command\()["']([a-z]+)["']""", line)
        if ">>>" not in line
    }
    assert named == set(declared["optional-dependencies"]) - {"dev"}
