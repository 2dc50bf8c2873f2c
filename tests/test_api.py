"""The public names: pinned, typed, found by completion, and light to import."""

import subprocess
import sys
import typing

import pytest

import atrous

NAMES = [
    "AtrousError", "Card", "Dataset", "Model", "PhotoOptions", "Prediction", "Preprocessing",
    "Recipe", "Sample", "Score", "Slide", "SlideOptions", "Volume", "VolumeOptions", "__version__",
    "compare", "convert", "create", "create_encoder", "effective_receptive_field", "evaluate",
    "explain", "export", "halo", "latency", "list_networks", "load", "open_dataset", "predict",
    "profile", "receptive_field", "save", "train",
]  # fmt: skip


def test_the_public_names_are_these():
    assert atrous.__all__ == NAMES
    assert dir(atrous) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(atrous, name)
    if name == "__version__":
        assert value.count(".") >= 2
    elif not typing.get_origin(value) and not isinstance(value, typing.types.UnionType):
        assert value.__doc__.strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = atrous.lode


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, atrous; heavy = {'torch', 'numpy', 'PIL', 'torchvision', 'scipy', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "atrous", "explain", "Conv2d(12, 24, 3)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2,616" in done.stdout
