"""Independent answers: what a gradient reaches, and whether tiles equal the whole."""

from fractions import Fraction

import pytest
import torch
from torch import nn


def _first(value):
    return value if isinstance(value, torch.Tensor) else next(iter(value.values()))


@pytest.fixture
def reached():
    """Lengths, per axis, of what eight central outputs see, by the gradient of a positive copy."""

    def measure(model, image):
        model = model.double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.rand_like(parameter) + 0.1)
        image = (torch.rand_like(image, dtype=torch.float64) + 0.1).requires_grad_()
        out = _first(model(image))
        sizes = []
        for axis in range(image.ndim - 2):
            longest = 0
            centre = [n // 2 for n in out.shape[2:]]
            for step in range(-4, 4):
                at = list(centre)
                at[axis] += step
                value = out
                for position in at:
                    value = value.select(2, position)
                weights = torch.rand_like(value)
                (gradient,) = torch.autograd.grad((value * weights).sum(), image, retain_graph=True)
                others = [d for d in range(image.ndim) if d != axis + 2]
                hit = (gradient.abs().sum(others) > 0).nonzero().flatten()
                longest = max(longest, int(hit[-1] - hit[0] + 1) if len(hit) else 0)
            sizes.append(longest)
        return tuple(sizes)

    return measure


@pytest.fixture
def tile_error():
    """Largest difference, along the last axis, between tiles with a halo and the whole."""

    def measure(model, need, *, channels=3, tiles=6, seed=0, inputs=1):
        model = model.double().eval()
        step, halo = need.alignment[-1], need.pixels[-1]
        core = step * max(1, 4)
        length = tiles * core + 4 * step * max(1, halo // step)
        generator = torch.Generator().manual_seed(seed)
        images = [
            torch.rand(1, channels, 24 * step, length, generator=generator, dtype=torch.float64)
            for _ in range(inputs)
        ]
        worst = 0.0
        with torch.no_grad():
            whole = _first(model(*images))
            scale = Fraction(whole.shape[-1], length)
            for start in range(0, length - core + 1, core):
                low, high = max(0, start - halo), min(length, start + core + halo)
                tile = _first(model(*(image[..., low:high] for image in images)))
                a, b = int(start * scale), int((start + core) * scale)
                shift = int(low * scale)
                worst = max(
                    worst, (tile[..., a - shift : b - shift] - whole[..., a:b]).abs().max().item()
                )
        return worst

    return measure


@pytest.fixture
def conv():
    """A 2D convolution that keeps the size."""

    def make(channels_in=3, channels_out=3, kernel=3, **settings):
        return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, **settings)

    return make


@pytest.fixture
def net():
    """A module from parts and a forward function of them and the input."""

    def make(forward, **parts):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for name, part in parts.items():
                    setattr(self, name, part)

        Net.forward = forward
        return Net().eval()

    return make
