"""Pages made from the code are up to date; the Python of the README passes mypy."""

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def document():
    loader = SourceFileLoader("document", str(ROOT / "scripts" / "document"))
    spec = spec_from_loader("document", loader)
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["api.md", "recipe_keys.md"])
def test_the_pages_made_from_the_code_are_up_to_date(document, page):
    expected = document.PAGES[page]()
    found = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert found == expected, f"run .venv/bin/python scripts/document to write docs/{page} anew"


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow  # mypy reads torch from nothing
def test_the_readmes_python_is_typed(tmp_path):
    blocks = python_blocks(ROOT / "README.md")
    assert blocks
    program = tmp_path / "readme.py"
    program.write_text("\n\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-incremental"),
            *("--config-file", "/dev/null", "--follow-imports", "silent", str(program)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
