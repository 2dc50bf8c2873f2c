"""What becomes of a mutated file: refused in one line, read, or a fault."""

import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tests.fuzz.formats import FORMATS, sound
from tests.fuzz.mutate import mutated

from atrous.errors import AtrousError


@dataclass(frozen=True)
class Verdict:
    """Of one file.

    Attributes:
        kind: Its format.
        seed: Of its mutations.
        fault: `traceback`, `memory`, `nonsense`, `hang` or `death`; empty if there is none.
        text: What was raised or said.
    """

    kind: str
    seed: int
    fault: str = ""
    text: str = ""


def judge(kind: str, seed: int) -> Verdict:
    """Mutate a sound file by a seed, and read it."""
    rng = np.random.default_rng((seed, *kind.encode()))
    known = FORMATS[kind]
    data = mutated(sound(kind), rng, is_text=known.is_text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _read(kind, data)
    except AtrousError as error:
        return Verdict(kind, seed, text=str(error))
    except MemoryError as error:
        return Verdict(kind, seed, "memory", repr(error))
    except Exception as error:  # that is what is looked for
        return Verdict(kind, seed, "traceback", repr(error))
    if known.is_guarded and found is not None and not _same(found, _expected(kind)):
        return Verdict(kind, seed, "nonsense", "accepted, and other than what was written")
    return Verdict(kind, seed)


def _read(kind: str, data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FORMATS[kind].name
        path.write_bytes(data)
        return FORMATS[kind].read(path)


@cache
def _expected(kind: str) -> object:
    return _read(kind, sound(kind))


def _same(found: object, expected: object) -> bool:
    if isinstance(found, torch.Tensor) and isinstance(expected, torch.Tensor):
        return torch.equal(found, expected)
    return found == expected
