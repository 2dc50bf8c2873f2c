"""Networks compiled for this processor: packages of machine code, made by torch, kept in a cache.

Source: the documentation of torch, "AOTInductor: Ahead-Of-Time Compilation".
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from atrous._files import make_folder, write_atomically
from atrous.errors import DataError
from atrous.runtimes.certificate import TOLERANCE, compare
from atrous.runtimes.engine import Engine, Precision
from atrous.runtimes.facts import ExportFacts
from atrous.runtimes.graph import DeployedNetwork, Signature, exported_program
from atrous.runtimes.words import first_line

_KEPT: Final = 8
"""Sizes whose code is held in memory; the oldest gives way."""
_BFLOAT16_TOLERANCE: Final = 0.25
"""Share of the largest logit that bfloat16 may be off by; beyond it something else is wrong."""
_WAYS: Final = (
    {"freezing": True},  # weights are constants, laid out as the kernels want them
    # torch 2.15's freezing gives some networks, `people` among them, another function.
    {"freezing": False},
)
"""Options of the compiler, the fastest first; the first whose code is right is kept."""
_OPTIONS: Final = {"cpp.dynamic_threads": True}
"""Of both: as many threads as torch has when it runs, not when it was compiled."""
_LAYOUTS: Final = {4: torch.channels_last, 5: torch.channels_last_3d}


class CompiledNetwork(Engine):
    """A network as machine code of this processor, compiled for each size and kept in the cache.

    The samples of a batch are run one after the other, so that one package serves every batch.

    Args:
        network: Makes a network of its own, folded and in eval mode; asked only to compile it.
        facts: Of the network.
        path: The weights file, for messages.
        cache: Folder of packages; where it cannot be written in, each process compiles anew.
        precision: In which it computes.

    Shape:
        `(B, C, *S)` to the network's output, float32.

    Raises:
        DataError: When it is run, if there is no C++ compiler, or the network cannot be compiled,
            or its code answers otherwise than the network.
    """

    runtime = "compiled"

    def __init__(
        self,
        network: Callable[[], nn.Module],
        facts: ExportFacts,
        *,
        path: Path,
        cache: Path,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.facts, self.path, self.precision = facts, path, precision
        self._network = network
        self._cache = cache
        self._runners: dict[tuple[int, ...], Any] = {}

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """As the class says."""
        runner = self._for(x)
        found = [runner.run([_laid_out(x[index : index + 1])]) for index in range(len(x))]
        outputs = tuple(
            each[0] if len(each) == 1 else torch.cat(each) for each in zip(*found, strict=True)
        )
        return outputs[0] if len(outputs) == 1 else outputs

    def _for(self, x: Tensor) -> Any:  # noqa: ANN401 - of torch, which has no type for it
        shape = tuple(x.shape[1:])
        if shape not in self._runners:
            runner = _loaded(self._place(shape)) or self._made(x[:1])
            if len(self._runners) == _KEPT:
                del self._runners[next(iter(self._runners))]
            self._runners[shape] = runner
        return self._runners[shape]

    def _place(self, shape: tuple[int, ...]) -> Path:
        """Where the package of a shape lies: all that its code depends on is in the name."""
        parts = [self.facts.to_json(), self.precision, shape, _WAYS, _OPTIONS, _processor()]
        return self._cache / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}.pt2"

    def _made(self, example: Tensor) -> Any:  # noqa: ANN401
        """Compile for the shape of an example, see that the code is right, and keep it."""
        with (
            torch.inference_mode(mode=False),
            torch.no_grad(),
            tempfile.TemporaryDirectory(prefix="atrous-") as folder,
        ):
            example = _laid_out(example.clone())
            for options in _WAYS:
                network = self._network()
                expected = network(example)
                made = Path(folder) / f"{options['freezing']}.pt2"
                _compile(network, self.facts, example, made, options, precision=self.precision)
                runner = _loaded(made)
                if runner is None:
                    raise DataError(
                        f"{self.path} was compiled, but its code cannot be loaded; expected a "
                        f"folder for temporary files whose code may run; see to {folder}."
                    )
                apart = _relative_difference(expected, runner.run([example]), example)
                if apart <= self._tolerance:
                    self._keep(made, tuple(example.shape[1:]))
                    return runner
        # A compiler's fault would be kept, and be believed from then on.
        raise DataError(
            f"{self.path} compiled in {self.precision} answers otherwise than its network "
            f"(logits apart by {apart:.1e} of the largest); expected {self._tolerance:g} at most; "
            "take another --runtime."
        )

    @property
    def _tolerance(self) -> float:
        return TOLERANCE if self.precision == "float32" else _BFLOAT16_TOLERANCE

    def _keep(self, made: Path, shape: tuple[int, ...]) -> None:
        """Put a package into the cache, in one step: another process may do so at the same time."""
        try:
            make_folder(self._cache)
            with write_atomically(self._place(shape)) as file:
                file.write(made.read_bytes())
        except DataError:
            pass  # a cache that cannot be written costs the time again, and nothing else


class _InBfloat16(nn.Module):
    """A network that computes in bfloat16, and takes and gives float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.bfloat16()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        output = self.network(x.bfloat16())
        if isinstance(output, Tensor):
            return output.float()
        return tuple(each.float() for each in output)


def _compile(
    network: nn.Module,
    facts: ExportFacts,
    example: Tensor,
    path: Path,
    options: dict[str, bool],
    *,
    precision: Precision,
) -> None:
    """Write the package of a network, which is changed, for the shape of an example.

    Raises:
        DataError: If there is no compiler, or the network cannot be compiled.
    """
    # Imported here: the compiler takes a second to import, which its packages can do without.
    from torch._inductor import aoti_compile_and_package
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise DataError(
            f"{facts.card.name} is compiled by a C++ compiler, and none was found; expected g++, "
            "clang++ or what CXX names; install one, or take --runtime openvino."
        ) from error
    if precision == "bfloat16":
        network = _InBfloat16(network)
    deployed = DeployedNetwork(network, facts.card, Signature(size=tuple(example.shape[2:])))
    program = exported_program(deployed, example, is_free=False, is_batch_free=False)
    try:
        with _quiet():
            aoti_compile_and_package(
                program, package_path=str(path), inductor_configs={**_OPTIONS, **options}
            )
    except Exception as error:  # torch raises errors of a dozen classes here
        raise DataError(
            f"{facts.card.name} cannot be compiled ({first_line(error)}); expected a network that "
            "torch's compiler takes; take another --runtime."
        ) from error


def _relative_difference(
    expected: Tensor | tuple[Tensor, ...], found: list[Tensor], example: Tensor
) -> float:
    (said,) = compare(lambda _: expected, lambda _: tuple(found), [example])
    return float("inf") if said.relative is None else said.relative


def _loaded(path: Path) -> Any:  # noqa: ANN401 - of torch, which has no type for it
    """What runs a package; None where there is none, or it is broken.

    `torch._inductor.aoti_load_package` wraps this class, and imports the compiler for it.
    """
    if not path.is_file():
        return None
    try:
        return torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    except RuntimeError:
        return None


def _laid_out(x: Tensor) -> Tensor:
    """In the one layout and type that is compiled for: the code checks neither."""
    layout = _LAYOUTS.get(x.ndim, torch.contiguous_format)
    return x.detach().to("cpu", torch.float32).contiguous(memory_format=layout)


def _processor() -> list[str]:
    """What the processor can do, by name."""
    found = torch.cpu.get_capabilities()
    return [f"{name}={found[name]}" for name in sorted(found) if not name.startswith("num_")]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning of the compiler's that it finds no graphics card."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
