"""Every module of torch's own database: as it was after each call, and at most one line said."""

import inspect
import warnings

import pytest
import torch
from tests.analysis.fuzz.residue import differences, snapshot

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
CALLS = (profile, receptive_field, halo)
SHARDS = 4
MOST_SAMPLES = 4
"""Of one module: its first."""


def modules():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    return module_db


def samples(info):
    """Modules with the arguments of a call, by name where some go by name."""
    torch.manual_seed(0)
    given = info.module_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=False
    )
    for sample in given[:MOST_SAMPLES]:
        if sample.forward_input is None:
            continue
        built = sample.constructor_input
        model = info.module_cls(*built.args, **built.kwargs).eval()
        args, kwargs = sample.forward_input.args, sample.forward_input.kwargs
        if kwargs:
            bound = inspect.signature(model.forward).bind(*args, **kwargs)
            yield model, dict(bound.arguments)
        else:
            yield model, list(args)


def faults_of(model, inputs):
    """What three calls leave behind, and whatever they raise that is not for people."""
    found = []
    before = snapshot(model)
    for call in CALLS:
        try:
            call(model, inputs=inputs)
        except AtrousError as error:
            if "\n" in str(error).strip():
                found.append(f"{call.__name__}: several lines: {error}")
        except Exception as error:  # any of these would be a traceback for a user
            found.append(f"{call.__name__}: {type(error).__name__}: {error}")
        found += [f"{call.__name__}: {text}" for text in differences(before, snapshot(model))[:2]]
    return found


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_module_of_torch_is_as_it_was(shard):
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info in modules()[shard::SHARDS]:
            for number, (model, inputs) in enumerate(samples(info)):
                faults = faults_of(model, inputs)
                if faults:
                    found[info.name, number] = faults
    assert found == {}
