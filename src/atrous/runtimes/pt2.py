"""PT2: torch's own exported program, for C++ and for `torch.export.load`."""

import io

import torch

from atrous.runtimes.facts import KEY, ExportFacts


def pt2_bytes(program: torch.export.ExportedProgram, facts: ExportFacts) -> bytes:
    """The program as a PT2 archive, the facts in its extra file `atrous`."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={KEY: facts.to_json()})
    return buffer.getvalue()


def program_of(content: bytes) -> torch.nn.Module:
    """The program of an archive that was written in this process, as a module that runs it.

    An archive from elsewhere is code, and not read.
    """
    module: torch.nn.Module = torch.export.load(io.BytesIO(content)).module()
    return module
