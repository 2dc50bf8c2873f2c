"""What a run could change outside the model: the random numbers of the process, and its garbage."""

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def as_it_was() -> Iterator[None]:
    """Give the generators of torch, numpy and Python, which models draw from, their states back.

    The collector of garbage rests meanwhile: a run makes so many objects that live until its end
    that it would go through all that torch has loaded, a fifth of the time, and find nothing.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
