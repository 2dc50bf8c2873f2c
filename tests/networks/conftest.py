"""The original networks' recorded inputs and outputs, and the weights that a rule makes."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


@dataclass(frozen=True)
class Recorded:
    """One case of the manifest, see SPEC 14."""

    entry: Mapping
    arrays: Mapping[str, np.ndarray]

    def input(self, *, is_uniform: bool = False, factor: float = 1.0) -> Tensor:
        """The input, stored or made again from its seed."""
        if "x" in self.arrays:
            return torch.from_numpy(self.arrays["x"])
        generator = np.random.Generator(np.random.PCG64(self.entry["input"]["seed"]))
        draw = generator.random if is_uniform else generator.standard_normal
        return torch.from_numpy(
            np.float32(factor) * draw(self.entry["input"]["shape"], dtype=np.float32)
        )

    def check(self, *outputs: Tensor) -> None:
        """Compare with what the original network gave: 1e-4 of the largest value."""
        assert len(outputs) == len(self.entry["outputs"])
        for facts, y in zip(self.entry["outputs"], outputs, strict=True):
            expected = torch.from_numpy(self.arrays[facts["name"]])
            step = facts.get("stored_spatial_stride") or 1
            thinned = y[(..., *[slice(None, None, step)] * (y.ndim - 2))]
            assert list(y.shape) == facts["shape"]
            assert (thinned - expected).abs().max() <= 1e-4 * expected.abs().max()
            labels = self.arrays.get(f"{facts['name']}_argmax")
            if labels is not None:
                assert (y.argmax(1).numpy() == labels).mean() > 0.9999


class Reference:
    """The manifest, and the arrays beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        entries = json.loads((folder / "MANIFEST.json").read_text())["entries"]
        self.entries = {entry["name"]: entry for entry in entries}

    def __getitem__(self, name: str) -> Recorded:
        entry = self.entries[name]
        with np.load(self.folder / entry["file"]) as arrays:
            return Recorded(entry=entry, arrays=dict(arrays))

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Original names and shapes of a network's tensors."""
        return {key: tuple(shape) for key, shape in self.entries[name]["keys_shapes"].items()}


@pytest.fixture(scope="session")
def reference(shared: Path) -> Reference:
    return Reference(shared / "reference")


def _rule_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    state = {}
    for key, shape in shapes.items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        has_statistics = f"{key.rpartition('.')[0]}.running_mean" in shapes
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        if key.endswith("running_var"):
            value = generator.uniform(0.5, 1.5, shape)
        elif key.endswith(("running_mean", "bias")):
            value = 0.1 * generator.standard_normal(shape)
        elif len(shape) == 1:
            value = generator.uniform(*((0.5, 1.5) if has_statistics else (0.05, 0.45)), shape)
        else:
            value = generator.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[1:]))
        state[key] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return state


def _digest(state: Mapping[str, Tensor]) -> str:
    total = sha256()
    for key in sorted(state):
        total.update(key.encode())
        total.update(state[key].numpy().tobytes())
    return total.hexdigest()[:16]


@pytest.fixture(scope="session")
def rule_weights():
    """Weights as a function of each tensor's original name: the rule of SPEC 14."""
    return _rule_weights


@pytest.fixture(scope="session")
def digest():
    """A state dict's fingerprint as the manifest has it."""
    return _digest
