"""One door to what runs a network: torch itself, or an engine that a graph is made for."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from torch import nn

from atrous._files import make_folder, sha256_of
from atrous.errors import DataError, UnknownNameError
from atrous.networks.card import Card
from atrous.networks.convert.fetch import cache_folder
from atrous.runtimes.compiled import CompiledNetwork
from atrous.runtimes.engine import Engine, Precision
from atrous.runtimes.facts import ExportFacts, versions_here
from atrous.runtimes.graph import DeployedNetwork, Signature, example_of, exported_program
from atrous.runtimes.onnx import OnnxNetwork, onnx_bytes, write_onnx
from atrous.runtimes.openvino import OpenVinoNetwork, openvino_model

Runtime: TypeAlias = Literal["eager", "compiled", "onnx", "openvino"]
"""`eager` is torch as it stands, folded; `compiled` machine code that torch makes for each size;
the others run an exported graph on the CPU."""
RUNTIMES: Final = get_args(Runtime)
PRECISIONS: Final = get_args(Precision)

EXPORTED: Final[Mapping[str, Runtime]] = MappingProxyType({".onnx": "onnx", ".xml": "openvino"})
"""Suffixes of exported files, and what runs them."""


def check_runtime(runtime: str, precision: str, device: str) -> None:
    """See that there is such a runtime, and that it computes so on this device.

    Raises:
        UnknownNameError: If there is no runtime or precision of that name.
        DataError: If the runtime does not compute in this precision, or not on this device.
    """
    if runtime not in RUNTIMES:
        raise UnknownNameError("runtime", runtime, RUNTIMES)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if precision != "float32" and runtime not in ("compiled", "openvino"):
        raise DataError(
            f"{runtime} computes in float32; expected --runtime openvino or compiled for "
            f"{precision}; name one."
        )
    if runtime != "eager" and not device.startswith("cpu"):
        raise DataError(
            f"{runtime} runs on the CPU; expected --device cpu; leave --device or --runtime out."
        )


def open_exported(path: Path, *, precision: Precision = "float32") -> Engine:
    """A file that `atrous export` wrote, ready to run.

    Raises:
        DataError: If it is none, is broken, or cannot be run here.
        MissingExtraError: If the extra `export` is not installed.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: found {found}; expected an exported file; check the path.")
    if EXPORTED[path.suffix.lower()] == "onnx":
        check_runtime("onnx", precision, "cpu")
        return OnnxNetwork(path)
    return OpenVinoNetwork(path, precision=precision)


def engine_of(
    network: Callable[[], nn.Module],
    card: Card,
    file: Path,
    *,
    runtime: Runtime,
    precision: Precision,
) -> Engine:
    """A network in an engine; its graph is made once and kept in the user's cache.

    Args:
        network: Makes a network of its own, folded and in eval mode; asked only where the cache
            has no graph.
        card: Its card.
        file: The weights file that it is from.
        runtime: `compiled`, `onnx` or `openvino`.
        precision: In which it computes.

    Raises:
        DataError: If it has no graph that the engine can run.
        MissingExtraError: If the extra `export` is not installed.
    """
    facts = _facts(card, file)
    if runtime == "compiled":
        return CompiledNetwork(network, facts, path=file, cache=_cache(), precision=precision)
    content = _cached_onnx(network, facts)
    if runtime == "onnx":
        return OnnxNetwork(content, path=file)
    return OpenVinoNetwork(openvino_model(content, facts), path=file, precision=precision)


def _facts(card: Card, file: Path) -> ExportFacts:
    return ExportFacts(
        card=card, signature=Signature(), source_sha256=sha256_of(file), versions=versions_here()
    )


def _cache() -> Path:
    return cache_folder() / "runtimes"


def _cached_onnx(network: Callable[[], nn.Module], facts: ExportFacts) -> bytes:
    """The graph from the cache, or made and put there; where nothing can be written, made."""
    name = hashlib.sha256(facts.to_json().encode()).hexdigest()[:32]
    path = _cache() / f"{name}.onnx"
    if path.is_file():
        return path.read_bytes()
    content = _made(network(), facts)
    try:
        make_folder(path.parent)
        write_onnx(path, content)
    except DataError:
        pass  # a cache that cannot be written costs the time again, and nothing else
    return content


def _made(network: nn.Module, facts: ExportFacts) -> bytes:
    deployed = DeployedNetwork(network, facts.card, facts.signature)
    program = exported_program(deployed, example_of(facts.card, facts.signature), is_free=True)
    return onnx_bytes(program, facts)
