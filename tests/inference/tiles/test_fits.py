"""Images that would not fit are refused before they are run."""

from types import SimpleNamespace

import pytest
from torch import nn

from atrous.errors import DataError
from atrous.inference.tiles import fits as memory


@pytest.fixture
def free(monkeypatch):
    def set_free(num_bytes):
        answer = SimpleNamespace(available=num_bytes)
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: answer)

    return set_free


def test_what_does_not_fit_is_refused_with_both_numbers(free):
    # In and out of one 3 to 5 channel convolution live together: 8 maps of 4 bytes a pixel.
    network = nn.Conv2d(3, 5, 3, padding=1)
    needed = 8 * 4 * 3000 * 4000
    free(needed * 1.05)
    memory.check_memory(network, (3000, 4000), num_channels=3)
    free(needed * 0.95)
    with pytest.raises(DataError, match=r"3000 x 4000 pixels needs 0\.4 GB .* 0\.4 GB are free"):
        memory.check_memory(network, (3000, 4000), num_channels=3)


def test_small_images_are_not_asked_about(free):
    free(0)
    memory.check_memory(nn.Conv2d(3, 5, 3), (1000, 2000), num_channels=3)
