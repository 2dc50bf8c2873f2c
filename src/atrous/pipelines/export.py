"""Export a model with its card, and prove that the file answers as the model does."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from atrous.errors import DataError, UnknownNameError
from atrous.pipelines.progress import OnProgress, Progress, ignore

if TYPE_CHECKING:
    import torch

    from atrous.inference.model import Model
    from atrous.networks.card import Card
    from atrous.runtimes.certificate import Certificate, Run
    from atrous.runtimes.facts import ExportFacts
    from atrous.runtimes.graph import Signature
    from atrous.types import Size

Format: TypeAlias = Literal["onnx", "openvino", "pt2"]
FORMATS: Final = get_args(Format)
SUFFIXES: Final[Mapping[str, str]] = {"onnx": ".onnx", "openvino": ".xml", "pt2": ".pt2"}
PARTS: Final = ("preprocessing", "argmax")
"""What can be put into the graph besides the network."""


class UnequalError(DataError):
    """An exported graph does not answer as its network; nothing of it was kept.

    Attributes:
        certificate: What was found.
    """

    def __init__(self, message: str, certificate: "Certificate") -> None:
        super().__init__(message)
        self.certificate = certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file that was exported, and its proof.

    Attributes:
        path: The file; of OpenVINO the `.xml`, whose `.bin` lies beside it.
        certificate: How it compares with its network.
        certificate_path: Where that was written, as JSON.
    """

    path: Path
    certificate: "Certificate"
    certificate_path: Path

    def __str__(self) -> str:
        found = self.certificate
        sizes = ", ".join("x".join(map(str, c.size)) for c in found.comparisons)
        logits = "" if found.largest is None else f"logits apart by {found.largest:.1e} at most, "
        return (
            f"{self.path}: as its network on {found.inputs} at {sizes}: {logits}"
            f"{found.equal:.4%} of classes equal\n{self.certificate_path}: certificate"
        )


def export(
    model: "Model | str | Path",
    to: Format = "onnx",
    out: str | Path | None = None,
    *,
    with_parts: Sequence[str] = (),
    size: "Size | None" = None,
    images: "str | Path | None" = None,
    tolerance: float | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = ignore,
) -> Export:
    """Write a model into a file of another engine, its card inside, if both answer alike.

    Args:
        model: A model, a weights file, or the name of a shipped model such as `people`.
        to: A name in `FORMATS`.
        out: The file; None for the model's name in the current folder.
        with_parts: `preprocessing`: the graph takes RGB of 8 bits `(B, H, W, C)` and prepares it.
            `argmax`: the graph gives classes in place of logits.
        size: The one spatial size of the graph's input; None for a graph that holds for all.
        images: Folder of images to compare on; None for images of noise.
        tolerance: Largest difference of logits allowed, as a share of the largest; None for 1e-4.
        overwrite: Replace a file that is there.
        on_progress: Called while it works.

    Raises:
        UnequalError: If the graph answers otherwise than the network; no file is left.
        DataError: If the model has no such graph, or a file cannot be read or written.
        UnknownNameError: If there is no such format or part.
        MissingExtraError: If the extra `export` is not installed.

    Example:
        >>> import atrous
        >>> done = atrous.export("people", "onnx", with_parts=["argmax"])  # doctest: +SKIP
        >>> done.certificate.equal  # doctest: +SKIP
        1.0
    """
    from atrous.inference.fold import fold
    from atrous.runtimes.graph import DeployedNetwork

    if to not in FORMATS:
        raise UnknownNameError("format", to, FORMATS)
    opened, signature = _opened(model), _signature(with_parts, size)
    card = opened.card
    path = _place(out, f"{card.name}{SUFFIXES[to]}", SUFFIXES[to], overwrite=overwrite)
    deployed = DeployedNetwork(fold(opened.network), card, signature).eval()
    on_progress(Progress(task=card.name, status="graph"))
    made = _made(deployed, _facts(opened, signature), to)
    on_progress(Progress(task=card.name, status="certificate"))
    found = _compared(opened, made, None if images is None else Path(images), tolerance)
    if not found.is_met:
        raise _unequal(card, to, found)
    made.write(path)
    proof = path.with_name(f"{path.stem}.certificate.json")
    _write_certificate(proof, path, made.facts, found)
    return Export(path=path, certificate=found, certificate_path=proof)


@dataclass(frozen=True, slots=True)
class _Made:
    """A graph that is not written yet."""

    facts: "ExportFacts"
    run: "Run"
    write: Callable[[Path], object]


def _opened(model: "Model | str | Path") -> "Model":
    from atrous.pipelines.predict.files import open_any

    opened = open_any(model, "cpu")
    if opened.engine is not None:
        raise DataError(
            f"{opened.card.name} is run by another engine than torch already; expected a weights "
            "file; export that."
        )
    return opened


def _signature(with_parts: Sequence[str], size: "Size | None") -> "Signature":
    from atrous.runtimes.graph import Signature

    for part in with_parts:
        if part not in PARTS:
            raise UnknownNameError("part of a graph", part, PARTS)
    return Signature(
        takes="pixels" if "preprocessing" in with_parts else "tensor",
        gives="classes" if "argmax" in with_parts else "logits",
        size=size,
    )


def _place(out: str | Path | None, usual: str, suffix: str, *, overwrite: bool) -> Path:
    from atrous._files import check_place

    path = Path(usual if out is None else out)
    if path.suffix.lower() != suffix:
        raise DataError(f"The file is {path}; expected a name that ends in {suffix}; name it so.")
    check_place(path)
    if path.exists() and not overwrite:
        raise DataError(f"{path} is there already; expected a new name; move it or --overwrite.")
    return path


def _facts(model: "Model", signature: "Signature") -> "ExportFacts":
    from atrous.runtimes.facts import ExportFacts, versions_here

    return ExportFacts(
        card=model.card,
        signature=signature,
        source_sha256=model.fingerprint,
        versions=versions_here(),
    )


def _made(deployed: Any, facts: "ExportFacts", to: Format) -> _Made:  # noqa: ANN401
    """The graph in its format, ready to be compared and written."""
    from atrous.runtimes import onnx, openvino, pt2
    from atrous.runtimes.graph import example_of, exported_program

    signature = facts.signature
    program: torch.export.ExportedProgram = exported_program(
        deployed, example_of(facts.card, signature), is_free=signature.size is None
    )
    if to == "pt2":
        content = pt2.pt2_bytes(program, facts)
        return _Made(facts, pt2.program_of(content), lambda path: onnx.write_onnx(path, content))
    content = onnx.onnx_bytes(program, facts)
    if to == "onnx":
        return _Made(facts, onnx.OnnxNetwork(content), lambda path: onnx.write_onnx(path, content))
    model = openvino.openvino_model(content, facts)
    return _Made(
        facts, openvino.OpenVinoNetwork(model), lambda path: openvino.write_openvino(path, model)
    )


def _compared(
    model: "Model", made: _Made, images: Path | None, tolerance: float | None
) -> "Certificate":
    """The graph beside the network, neither folded nor changed."""
    from atrous.pipelines.export_inputs import comparison_inputs
    from atrous.runtimes.certificate import LEAST_EQUAL, TOLERANCE, Certificate, compare
    from atrous.runtimes.graph import DeployedNetwork

    signature = made.facts.signature
    plain = DeployedNetwork(model.network, model.card, signature).eval()
    inputs, said = comparison_inputs(model.card, signature, images)
    return Certificate(
        comparisons=tuple(compare(plain, made.run, inputs)),
        tolerance=TOLERANCE if tolerance is None else tolerance,
        least_equal=LEAST_EQUAL,
        inputs=said,
    )


def _unequal(card: "Card", to: str, found: "Certificate") -> UnequalError:
    logits = (
        "" if found.largest is None else f"logits apart by {found.largest:.1e} of the largest, "
    )
    return UnequalError(
        f"{card.name} as {to} answers otherwise than its network on {found.inputs}: {logits}"
        f"{found.equal:.3%} of classes equal; expected {found.tolerance:g} and "
        f"{found.least_equal:.2%}; nothing was written; try another format, or --size.",
        found,
    )


def _write_certificate(proof: Path, path: Path, facts: "ExportFacts", found: "Certificate") -> None:
    from atrous._files import sha256_of, write_text

    record = {
        "file": path.name,
        "sha256": sha256_of(path),
        **found.record(),
        **{key: value for key, value in json.loads(facts.to_json()).items() if key != "card"},
        "name": facts.card.name,
    }
    write_text(proof, json.dumps(record, indent=1) + "\n")
