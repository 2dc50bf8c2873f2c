"""What fits under a ceiling, and what is refused before it is run."""

from types import SimpleNamespace

import pytest
from torch import nn

from atrous.errors import DataError
from atrous.inference.tiles import memory


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


@pytest.mark.parametrize(
    ("text", "number"), [("2G", 2e9), ("800M", 8e8), ("1.5 gb", 1.5e9), ("4000000000", 4e9)]
)
def test_memory_is_read(text, number):
    assert memory.parse_memory(text) == number


@pytest.mark.parametrize("text", ["", "much", "-2G", "2X", "G"])
def test_memory_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="such as 2G"):
        memory.parse_memory(text)


def test_more_memory_gives_larger_tiles_under_the_ceiling():
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 4, 3, padding=1))
    cores = []
    for ceiling in (1, 150_000_000, 400_000_000, 10**11):
        model = memory.memory_model(network, ceiling=memory.BASE + ceiling, num_classes=4)
        core = model.core_for((8, 8), (4, 4))
        cores.append(max(core, default=0))
        assert cores[-1] % 4 == 0
        assert not core or model.needed(tuple(n + 16 for n in core)) <= model.ceiling
    assert cores == sorted(cores)
    assert cores[0] == 0
    assert 0 < cores[1] < cores[2] < cores[3] == 1024
    # 64 channels of 4 bytes are the least that a pixel takes here.
    assert memory.bytes_per_element(network, (256, 256), 3) >= 64 * 4


def test_what_is_cut_takes_its_sums_too():
    model = memory.MemoryModel(ceiling=1000, fixed=100, per_element=2.5, whole=(4, 5, 6), if_cut=50)
    assert model.needed((4, 5, 6)) == 100 + 2.5 * 120
    assert model.needed((4, 5, 4)) == 150 + 2.5 * 80
    assert model.fits((4, 5, 6))
    assert not model.fits((10, 10, 10))


def test_a_wanted_core_is_rounded_up_and_fits_or_there_is_none():
    model = memory.MemoryModel(ceiling=52 * 52, fixed=0, per_element=1.0)
    assert model.core_for((8, 8), (4, 4), wanted=33) == (36, 36)  # with its halo 52 px a side
    assert model.core_for((8, 8), (4, 4), wanted=37) == ()


@pytest.mark.parametrize("wanted", [None, 100])
def test_the_least_that_is_named_is_enough_and_little_less_is_not(wanted):
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 4, 3, padding=1))
    options = {"halo": (200, 200), "alignment": (8, 8), "wanted": wanted}
    least = memory.memory_model(network, ceiling=0, num_classes=4).least(**options)
    assert least % 10**8 == 0
    for ceiling, fits in ((least, True), (least - 10**8 - 1, False)):
        model = memory.memory_model(network, ceiling=ceiling, num_classes=4)
        assert bool(model.core_for((200, 200), (8, 8), wanted=wanted)) == fits
