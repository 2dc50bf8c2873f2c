"""Logits and targets that every loss must take."""

import pytest
import torch


@pytest.fixture
def batch():
    """Makes random logits `(B, C, *S)` and a target `(B, *S)` of which some is unlabelled."""

    def make(*shape, num_unlabelled=4, dtype=torch.float64, seed=0):
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(shape, generator=generator, dtype=dtype)
        target = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
        where = torch.randperm(target.numel(), generator=generator)[:num_unlabelled]
        target.view(-1)[where] = 255
        return logits, target

    return make
