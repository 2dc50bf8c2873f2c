"""The room is pure Python and says what it offers."""

import subprocess
import sys

import pytest

from atrous import arithmetic


def test_importing_it_loads_neither_torch_nor_numpy():
    code = (
        "import sys, atrous.arithmetic as a; a.parse_expression('Conv2d(3, 16, 3)'); "
        "print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", arithmetic.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(arithmetic, name).__doc__
