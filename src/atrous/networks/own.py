"""Networks in files of the user's: `FILE.py:FUNCTION` wherever a name of the catalog may stand.

Code of others runs only where its file is named on the command line, in a recipe or in a call; a
weights file that names one is not reason enough.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from atrous.errors import AtrousError, DataError, UnknownNameError
from atrous.networks.catalog import NetworkEntry, is_own, register_own


def allow_network(text: str) -> None:
    """Let the function of a user's file be built by that name, here and in weights that name it.

    The function takes keywords with defaults, `num_classes` among them, and gives a module whose
    logits have the input's spatial size. It may carry a `task` and a `size` as attributes; they are
    `segmentation` and 256 x 256 otherwise. Other names are left to the catalog.

    Args:
        text: `FILE.py:FUNCTION`.

    Raises:
        DataError: If the file is missing or cannot be run.
        UnknownNameError: If it has no such function.
    """
    if not is_own(text):
        return
    file, _, name = text.rpartition(":")
    function = load_function(Path(file), name)
    register_own(
        text,
        NetworkEntry(
            build=function,
            task=getattr(function, "task", "segmentation"),
            size=tuple(getattr(function, "size", (256, 256))),
        ),
    )


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """A function of the user's own file; what the file prints goes to stderr.

    Raises:
        DataError: If the file is missing, or raises when it is run.
        UnknownNameError: If it has no such function.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file; expected FILE.py:FUNCTION; check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # noqa: PT018 - a .py file has a loader
    module = importlib.util.module_from_spec(spec)
    with _beside(path):
        try:
            spec.loader.exec_module(module)
        except AtrousError:
            raise
        except (Exception, SystemExit) as error:
            raise _raised(str(path), error) from error
    if not hasattr(module, name):
        known = [known for known in vars(module) if callable(getattr(module, known))]
        raise UnknownNameError(f"function in {path}", name, known)
    function: Callable[..., Any] = getattr(module, name)
    return function


def call_function(path: Path, name: str) -> tuple[nn.Module, Any]:
    """The model that a function of the user's file gives without arguments, and its inputs.

    The function gives a model, or a model and example inputs, which are None otherwise.

    Raises:
        DataError: If the file or the function cannot be run, or gives something else.
        UnknownNameError: If there is no such function.
    """
    function = load_function(path, name)
    with _beside(path):
        try:
            model = function()
        except AtrousError:
            raise
        except (Exception, SystemExit) as error:
            raise _raised(f"{path}:{name}", error) from error
    inputs = None
    if isinstance(model, tuple) and len(model) == 2:
        model, inputs = model
    if not isinstance(model, nn.Module):
        raise DataError(
            f"{path}:{name} gave a {type(model).__name__}, expected a torch.nn.Module; return the "
            "model itself, or the model and its inputs."
        )
    return model, inputs


def _raised(where: str, error: BaseException) -> DataError:
    words = (str(error).splitlines() or [""])[0]
    return DataError(
        f"{where} raised {type(error).__name__}: {words}; expected a function that gives a model "
        "when called without arguments; mend it there."
    )


@contextlib.contextmanager
def _beside(path: Path) -> Any:  # noqa: ANN401 - a context
    """While the file runs it may import its neighbours, and its prints go to stderr."""
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.pop(0)
