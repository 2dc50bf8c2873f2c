"""What a run could change outside the model: the random numbers of the process, and its garbage."""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def as_it_was() -> Iterator[None]:
    """Give the generators of torch, numpy and Python, which models draw from, their states back."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def collector_at_rest(function: Callable[P, T]) -> Callable[P, T]:
    """Let the collector of garbage rest until a function's own objects are gone.

    A run makes so many that live until its end that the collector would go through all that torch
    has loaded, a fifth of the time, and find nothing.
    """

    @wraps(function)
    def at_rest(*args: P.args, **kwargs: P.kwargs) -> T:
        collects = gc.isenabled()
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            if collects:
                gc.enable()

    return at_rest
