"""Sieved maps read in parts: large regions stay, specks go, whatever margin is seen at first."""

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("rasterio", reason="needs the extra slides")

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.reports.slides import sieve

SMALLEST = 60


def regions_of(labels):
    """Number of the region of every pixel, and the size of every region."""
    numbers, count = np.zeros(labels.shape, int), 0
    for value in np.unique(labels):
        found, more = ndimage.label(labels == value)
        numbers[found > 0] = found[found > 0] + count
        count += more
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)


def spotted(seed):
    """Large regions with specks, and thin lines of fewer pixels than the smallest region's."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((3, 150, 170))
    labels = np.stack([ndimage.gaussian_filter(each, 9) for each in fields]).argmax(axis=0)
    for _ in range(40):
        top, left = rng.integers(0, 140), rng.integers(0, 100)
        labels[top : top + 3, left : left + 3] = rng.integers(3)
    for row in (20, 75, 131):
        labels[row, 30:85] = (labels[row, 50] + 1) % 3
    return labels.astype(np.uint8)


def read_in_parts(labels, side):
    source = sieve.sieved(ArrayLabelMap(labels), area_um2=SMALLEST, mpp=(1.0, 1.0))
    out = np.empty_like(labels)
    for top in range(0, labels.shape[0], side):
        for left in range(0, labels.shape[1], side):
            size = (min(side, labels.shape[0] - top), min(side, labels.shape[1] - left))
            part = source.read(top, left, *size)
            out[top : top + size[0], left : left + size[1]] = part
    return out


@pytest.mark.parametrize("margin", [1, 8, 512])
@pytest.mark.parametrize("side", [25, 64, 200])
@pytest.mark.parametrize("seed", range(3))
def test_large_regions_stay_and_specks_go(monkeypatch, margin, side, seed):
    monkeypatch.setattr(sieve, "_MARGIN", margin)
    labels = spotted(seed)
    numbers, sizes = regions_of(labels)
    out = read_in_parts(labels, side)
    is_large = sizes[numbers] >= SMALLEST
    assert np.array_equal(out[is_large], labels[is_large])
    assert (~is_large).sum() > 100
    _, left = regions_of(out)
    assert left[1:].min() >= SMALLEST


def test_a_large_smallest_region_is_seen_without_a_margin_as_long(monkeypatch):
    reads = []
    labels = np.zeros((3000, 3000), np.uint8)
    labels[:, 1500:] = 1
    read = ArrayLabelMap.read

    def counted(self, top, left, height, width):
        reads.append(height * width)
        return read(self, top, left, height, width)

    monkeypatch.setattr(ArrayLabelMap, "read", counted)
    source = sieve.sieved(ArrayLabelMap(labels), area_um2=8000, mpp=(1.0, 1.0))
    assert np.array_equal(source.read(1000, 1000, 1000, 1000), labels[1000:2000, 1000:2000])
    assert sum(reads) < 5_000_000
