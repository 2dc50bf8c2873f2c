"""Preprocessing does the authors' steps: order of channels, normalisation, resizing, scaling."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.errors import ShapeError
from atrous.networks.preprocessing.images import Preprocessing, preprocess


def test_the_authors_steps_written_out():
    # SPEC 8: BGR of 8 bits, minus mean, by deviation, then by 255.
    mean, std = np.float64([110.0, 108.0, 105.0]), np.float64([72.0, 73.0, 70.0])
    rgb = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    expected = ((rgb[..., ::-1].astype(np.float64) - mean) / std / 255).transpose(2, 0, 1)
    facts = Preprocessing(
        channel_order="BGR",
        value_range=255.0,
        mean=tuple(mean),
        std=tuple(std),
        final_scale=1 / 255,
    )
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    assert np.allclose(preprocess(x, facts)[0].numpy(), expected, atol=1e-8)


def test_resizing_commutes_with_normalising():
    facts = {"mean": (0.4,) * 3, "std": (0.2,) * 3, "size": (7, 5)}
    x = torch.rand(1, 3, 14, 11)
    before = preprocess(x, Preprocessing(**facts, steps=("resize", "normalise", "scale")))
    after = preprocess(x, Preprocessing(**facts, steps=("normalise", "resize", "scale")))
    assert before.shape == (1, 3, 7, 5)
    assert torch.allclose(before, after, atol=1e-5)


def test_the_antialiased_resize_is_pillows():
    gradient = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    expected = np.array(Image.fromarray(gradient).resize((13, 9), Image.Resampling.BILINEAR))
    facts = Preprocessing(mean=(0.0,), std=(1.0,), size=(9, 13), interpolation="bilinear_antialias")
    y = preprocess(torch.from_numpy(gradient)[None, None], facts)
    assert np.allclose(y[0, 0].numpy(), expected, atol=1e-4)


def test_another_number_of_channels_is_refused():
    facts = Preprocessing(mean=(0.0,), std=(1.0,))
    with pytest.raises(
        ShapeError, match="have 3 channels, but the network's preprocessing is for 1"
    ):
        preprocess(torch.rand(1, 3, 4, 4), facts)
