"""What `--device`, `--runtime` and `--precision` may be."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from atrous.inference.model import Model
    from atrous.runtimes.engine import Precision
    from atrous.runtimes.open import Runtime

RUNTIME_HELP: Final = (
    "What runs the network: eager (torch), compiled (by torch, once for each size of input), "
    "onnx or openvino; what an exported file was exported to."
)
PRECISION_HELP: Final = "float32, or bfloat16 by openvino and compiled."


def checked_device(name: str) -> str:
    """The device's name, if torch has it here.

    Raises:
        DataError: If it is no device, or not on this machine.
    """
    import torch

    from atrous.errors import DataError

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"--device {name!r} is not usable here ({reason}); try cpu.") from error
    return name


def open_model(file: str | Path, *, device: str, runtime: str | None, precision: str) -> "Model":
    """Load a model as the command line names it.

    Raises:
        DataError: If the device is not usable, or as `load`.
        UnknownNameError: As `load`.
        MissingExtraError: If the runtime is not installed.
    """
    from atrous.inference.load import load

    return load(
        file,
        device=checked_device(device),
        runtime=cast("Runtime | None", runtime),  # names are checked there
        precision=cast("Precision", precision),
    )
