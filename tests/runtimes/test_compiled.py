"""Compiled networks: they answer as torch, from the cache or without one, or say why not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from atrous.errors import DataError
from atrous.inference.load import load
from atrous.runtimes import compiled
from atrous.runtimes.compiled import CompiledNetwork

# torch's compiler deprecates parts of itself.
pytestmark = [
    pytest.mark.slow,  # a compiler of C++ runs for each size
    pytest.mark.filterwarnings("ignore"),
]


class Small(nn.Module):
    """Of what compiles in seconds, and whose channels differ so that a wrong layout shows."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 8, 3, padding=1)
            self.second = nn.Conv2d(8, 4, 3, stride=2, dilation=2)

    def forward(self, x):
        return self.second(self.first(x).relu())


@pytest.fixture(scope="module")
def facts(tiny_weights):
    return load(tiny_weights, runtime="compiled").engine.facts


def engine_of(facts, cache, network=Small, precision="float32"):
    return CompiledNetwork(
        lambda: network().eval(), facts, path=Path("small"), cache=cache, precision=precision
    )


def test_it_answers_as_torch_in_any_layout_and_batch_and_is_kept(facts, tmp_path, monkeypatch):
    x = torch.rand(3, 3, 47, 65)
    expected = Small()(x)
    torch.testing.assert_close(engine_of(facts, tmp_path)(x), expected, rtol=1e-4, atol=1e-5)
    (package,) = tmp_path.iterdir()

    def fail(*_arguments, **_options):
        raise AssertionError("compiled again")

    monkeypatch.setattr(compiled, "_compile", fail)
    later = engine_of(facts, tmp_path)
    layouts = (
        x.contiguous(memory_format=torch.channels_last),
        torch.rand(3, 3, 94, 130)[:, :, ::2, ::2].copy_(x),
        x.double(),
    )
    for each in layouts:
        torch.testing.assert_close(later(each), expected, rtol=1e-4, atol=1e-5)
    for other, size in ((later, 32), (engine_of(facts, tmp_path, precision="bfloat16"), 65)):
        with pytest.raises(AssertionError, match="compiled again"):
            other(x[..., :size])
    package.write_bytes(package.read_bytes()[:1000])
    with pytest.raises(AssertionError, match="compiled again"):
        engine_of(facts, tmp_path)(x)


def test_bfloat16_is_near_and_a_cache_that_cannot_be_written_costs_time_alone(facts, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    x = torch.rand(1, 3, 48, 64)
    expected = Small()(x)
    said = engine_of(facts, tmp_path / "cache", precision="bfloat16")(x)
    assert said.dtype == torch.float32
    apart = float((said - expected).abs().max() / expected.abs().max())
    assert 2**-12 < apart < 0.05  # of 8 bits, and not of 24


def test_code_that_answers_otherwise_is_not_kept(facts, tmp_path):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    with pytest.raises(DataError, match="answers otherwise than its network"):
        engine_of(facts, tmp_path / "cache", Noisy)(torch.rand(1, 3, 8, 8))
    assert not (tmp_path / "cache").exists()


def photo(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder / "photo.png"


def predict(model, path, out, **environment):
    options = ("--out", out, "--runtime", "compiled")
    return subprocess.Popen(
        [sys.executable, "-m", "atrous", "predict", model, path, *options],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


COMPILE = """
import sys, torch
from pathlib import Path
from atrous.inference.load import load
from atrous.runtimes.compiled import CompiledNetwork
torch.manual_seed(0)
conv = torch.nn.Conv2d(3, 4, 3).eval()
facts = load(sys.argv[1], runtime="compiled").engine.facts
engine = CompiledNetwork(lambda: conv, facts, path=Path("conv"), cache=Path(sys.argv[2]))
x = torch.rand(2, 3, 9, 12)
torch.testing.assert_close(engine(x), conv(x), rtol=1e-4, atol=1e-5)
"""


def test_two_processes_that_compile_at_once_both_work(tiny_weights, tmp_path):
    command = [sys.executable, "-c", COMPILE, tiny_weights, tmp_path / "cache"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate()[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".pt2"]


def test_without_a_compiler_it_is_one_line(tiny_weights, tmp_path):
    run = predict(
        tiny_weights,
        photo(tmp_path),
        tmp_path / "out",
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        CXX="no-such-compiler",
    )
    _, error = run.communicate()
    assert run.returncode == 2
    assert "none was found; expected g++" in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
