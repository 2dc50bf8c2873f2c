"""ONNX: written by torch's exporter, run by ONNX Runtime.

Needs the extra `export`.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atrous._extras import require
from atrous._files import write_atomically
from atrous.errors import DataError
from atrous.runtimes.engine import Engine
from atrous.runtimes.facts import KEY, ExportFacts, facts_from_json
from atrous.runtimes.graph import INPUT, output_names
from atrous.runtimes.words import first_line


def onnx_bytes(program: torch.export.ExportedProgram, facts: ExportFacts) -> bytes:
    """The graph as an ONNX file with the facts in its metadata.

    Raises:
        DataError: If ONNX cannot express the graph; what the exporter says is named.
        MissingExtraError: If the extra `export` is not installed.
    """
    require("onnx", extra="export")
    require("onnxscript", extra="export")
    names = output_names(facts.card, facts.signature)
    try:
        made = torch.onnx.export(
            program,
            (),
            input_names=[INPUT],
            output_names=list(names),
            dynamo=True,
            verbose=False,
        )
    except Exception as error:  # torch raises errors of a dozen classes here
        raise DataError(
            f"{facts.card.name} cannot be written as ONNX ({first_line(error)}); expected ops that "
            "ONNX has; export it --to pt2."
        ) from error
    assert made is not None  # None is of the old exporter
    made.model.metadata_props[KEY] = facts.to_json()
    buffer = io.BytesIO()
    buffer.write(made.model_proto.SerializeToString())
    return buffer.getvalue()


def write_onnx(path: Path, content: bytes) -> None:
    """Write what `onnx_bytes` gave, whole or not at all.

    Raises:
        DataError: If it cannot be written.
    """
    with write_atomically(path) as file:
        file.write(content)


class OnnxNetwork(Engine):
    """A graph run by ONNX Runtime on the CPU: a network as any other, which cannot be trained.

    Args:
        source: The file, or its bytes.
        path: What messages name.
        num_threads: Of ONNX Runtime; None for as many as torch's.

    Shape:
        As the file's signature says.

    Raises:
        DataError: If it is no ONNX file of ours, or ONNX Runtime cannot run it.
        MissingExtraError: If the extra `export` is not installed.
    """

    runtime = "onnx"

    def __init__(
        self, source: Path | bytes, *, path: Path | None = None, num_threads: int | None = None
    ) -> None:
        super().__init__()
        runtime = require("onnxruntime", extra="export")
        self.path = source if isinstance(source, Path) else path or Path("graph.onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads or torch.get_num_threads()
        options.log_severity_level = 3
        given = str(source) if isinstance(source, Path) else source
        try:
            self._session: Any = runtime.InferenceSession(
                given, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no class but this one
            raise DataError(
                f"{self.path} cannot be run by ONNX Runtime {runtime.__version__} "
                f"({first_line(error)}); expected a whole file of `atrous export`; make it again."
            ) from error
        held = self._session.get_modelmeta().custom_metadata_map
        self.facts = facts_from_json(held.get(KEY), self.path)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the file's signature says."""
        given = np.ascontiguousarray(x.detach().cpu().numpy())
        try:
            found = self._session.run(None, {INPUT: given})
        except Exception as error:
            raise DataError(
                f"{self.path} does not take an input of {' x '.join(map(str, x.shape))} "
                f"({first_line(error)}); expected {self.wanted()}; give such a one."
            ) from error
        outputs = tuple(torch.from_numpy(each) for each in found)
        return outputs[0] if len(outputs) == 1 else outputs
