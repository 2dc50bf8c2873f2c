"""Many files: each comes back once, with its mask or with the reason why there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import atrous
from atrous.data.prefetch import batches, prefetch
from atrous.inference import predict_files


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for index, size in enumerate([(20, 30), (20, 30), (24, 16), (20, 30), (9, 11)]):
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("batch_pixels", [1, 1200, 10**6])
def test_every_file_comes_back_once_whatever_the_batches(tiny_weights, folder, batch_pixels):
    predictor = atrous.load(tiny_weights)
    paths = sorted(folder.iterdir())
    results = {r.path: r for r in predict_files(predictor, paths, batch_pixels=batch_pixels)}
    assert sorted(results) == paths
    assert "broken.png" in results[folder / "broken.png"].error
    for path in paths[:-1]:
        expected = predictor.predict(path).mask
        assert torch.equal(results[path].prediction.mask, expected)
        assert results[path].image.shape[:2] == expected.shape


def test_files_are_read_only_a_little_ahead():
    read = []

    def note(item):
        read.append(item)
        return item

    results = prefetch(note, range(100), num_workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(read) <= 3 + 4
    results.close()


def test_an_error_comes_where_its_result_would_have():
    def half(number):
        if number == 2:
            raise ValueError("no two")
        return number

    results = prefetch(half, [1, 2, 3])
    assert next(results) == 1
    with pytest.raises(ValueError, match="no two"):
        next(results)


def test_batches_hold_one_key_and_no_more_than_the_limit():
    items = [(key, weight) for weight in (3, 5, 9, 1, 1, 4) for key in "abc"]
    made = list(batches(items, key=lambda i: i[0], weight=lambda i: i[1], limit=8))
    assert sorted(item for batch in made for item in batch) == sorted(items)
    for batch in made:
        assert len({key for key, _ in batch}) == 1
        assert len(batch) == 1 or sum(weight for _, weight in batch) <= 8


def test_items_without_company_do_not_pile_up():
    held = 0
    for batch in batches(iter(range(50)), key=lambda i: i, weight=lambda _: 1, limit=2):
        held += len(batch)
        assert held >= 1
    assert held == 50


def test_paths_may_be_any_iterable(tiny_weights, folder):
    predictor = atrous.load(tiny_weights)
    results = list(predict_files(predictor, (Path(p) for p in [folder / "0.png"])))
    assert len(results) == 1
