"""OpenVINO: made from the ONNX graph, run on the CPU in float32 or bfloat16.

Needs the extra `export`.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from atrous._extras import require
from atrous._files import make_folder
from atrous.errors import DataError
from atrous.runtimes.engine import Engine, Precision
from atrous.runtimes.facts import KEY, ExportFacts, facts_from_json
from atrous.runtimes.words import last_line

_HINTS: Final[Mapping[str, str]] = MappingProxyType({"float32": "f32", "bfloat16": "bf16"})
_FACTS: Final = "facts"
_KEPT_SHAPES: Final = 4
"""Shapes of inputs for which a graph of their own is kept: it is faster than the one for all."""


def openvino_model(onnx: bytes, facts: ExportFacts) -> Any:  # noqa: ANN401 - an openvino.Model
    """The graph as a model of OpenVINO, with the facts in its metadata.

    Args:
        onnx: As `onnx_bytes` gives it.
        facts: Of the graph.

    Raises:
        DataError: If OpenVINO cannot express the graph.
        MissingExtraError: If the extra `export` is not installed.
    """
    openvino = require("openvino", extra="export")
    with tempfile.TemporaryDirectory(prefix="atrous-") as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(onnx)
        try:
            model = openvino.Core().read_model(str(path))
        except RuntimeError as error:
            raise DataError(
                f"{facts.card.name} cannot be read by OpenVINO ({last_line(error)}); expected "
                "ops that it has; export it --to onnx."
            ) from error
    model.set_rt_info(facts.to_json(), [KEY, _FACTS])
    return model


def write_openvino(path: Path, model: Any) -> None:  # noqa: ANN401 - an openvino.Model
    """Write a model as `NAME.xml` and `NAME.bin`, the second first, so that the first is whole.

    Raises:
        DataError: If it cannot be written.
    """
    openvino = require("openvino", extra="export")
    make_folder(path.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=".atrous-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            openvino.save_model(model, str(part), compress_to_fp16=False)
            for suffix in (".bin", ".xml"):
                shutil.move(part.with_suffix(suffix), path.with_suffix(suffix))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} could not be written: {error}; make room for it.") from error


class OpenVinoNetwork(Engine):
    """A graph run by OpenVINO on the CPU: a network as any other, which cannot be trained.

    Args:
        source: The `.xml` file, whose weights lie beside it, or a model of OpenVINO.
        path: What messages name.
        precision: In which it computes.
        num_threads: Of OpenVINO; None for as many as torch's.

    Shape:
        As the file's signature says.

    Raises:
        DataError: If it is no such file of ours, or OpenVINO cannot run it.
        MissingExtraError: If the extra `export` is not installed.
    """

    runtime = "openvino"

    def __init__(
        self,
        source: Any,  # noqa: ANN401 - a path or an openvino.Model
        *,
        path: Path | None = None,
        precision: Precision = "float32",
        num_threads: int | None = None,
    ) -> None:
        super().__init__()
        openvino = require("openvino", extra="export")
        self.path = source if isinstance(source, Path) else path or Path("graph.xml")
        self.precision = precision
        self._core = openvino.Core()
        self._config = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": num_threads or torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._model = self._core.read_model(str(source)) if isinstance(source, Path) else source
            self._free = self._compiled(self._model)
        except RuntimeError as error:
            raise DataError(
                f"{self.path} cannot be run by OpenVINO {openvino.__version__} "
                f"({last_line(error)}); expected a whole file of `atrous export` with its .bin; "
                "make it again."
            ) from error
        self.facts = facts_from_json(_held(self._model), self.path)
        self._seen: dict[tuple[int, ...], int] = {}
        self._by_shape: dict[tuple[int, ...], Any] = {}

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the file's signature says."""
        given = np.ascontiguousarray(x.detach().cpu().numpy())
        try:
            found = self._for(tuple(x.shape))(given)
        except RuntimeError as error:
            raise DataError(
                f"{self.path} does not take an input of {' x '.join(map(str, x.shape))} "
                f"({last_line(error)}); expected {self.wanted()}; give such a one."
            ) from error
        outputs = tuple(torch.from_numpy(np.array(found[i])) for i in range(len(found)))
        return outputs[0] if len(outputs) == 1 else outputs

    def _for(self, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - an openvino.CompiledModel
        """The graph for every shape; from a shape's second time on, one of its own."""
        if shape in self._by_shape:
            return self._by_shape[shape]
        if shape not in self._seen or len(self._by_shape) == _KEPT_SHAPES:
            self._seen[shape] = 1
            return self._free
        model = self._model.clone()
        model.reshape(list(shape))
        self._by_shape[shape] = self._compiled(model)
        return self._by_shape[shape]

    def _compiled(self, model: Any) -> Any:  # noqa: ANN401 - of OpenVINO, which has no types
        return self._core.compile_model(model, "CPU", self._config)


def _held(model: Any) -> str | None:  # noqa: ANN401 - an openvino.Model
    """The facts in a model's metadata; None where there are none."""
    if not model.has_rt_info([KEY, _FACTS]):
        return None
    return str(model.get_rt_info([KEY, _FACTS]).value)
