"""Fingerprints: what changes them, what does not, and reports that are kept by them."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from atrous.data import open_layout
from atrous.data.check.check import check_layout
from atrous.data.check.fingerprint import cached_check, fingerprint
from atrous.data.synthetic.shapes import draw_shapes, write_mask_folder


@pytest.fixture
def root(tmp_path):
    return write_mask_folder(tmp_path / "shapes", num_images=3, size=(20, 30))


def opened(root, **kwargs):
    return open_layout("mask_folder", root, **{"num_classes": 4, **kwargs})


def test_is_the_same_until_something_changes(root, tmp_path):
    first = fingerprint(opened(root))
    assert fingerprint(opened(root)) == first
    listed = tmp_path / "some.txt"
    listed.write_text("0000\n0001\n0002\n")
    assert fingerprint(opened(root, subset=listed)) == first
    seen = {first}

    def is_new():
        now = fingerprint(opened(root))
        known = now in seen
        seen.add(now)
        return not known

    Image.fromarray(draw_shapes(9, size=(20, 30))[1]).save(root / "masks" / "0001.png")
    assert is_new()
    altered = bytearray((root / "images" / "0002.png").read_bytes())
    altered[-14] ^= 1  # in the checksum of the pixels: as long as before
    (root / "images" / "0002.png").write_bytes(altered)
    assert is_new()
    (root / "images" / "0000.png").rename(root / "images" / "0009.png")
    (root / "masks" / "0000.png").rename(root / "masks" / "0009.png")
    assert is_new()
    (root / "classes.txt").write_text("a\nb\nc\nd\n")
    assert is_new()
    listed.write_text("0001\n0002\n")
    assert fingerprint(opened(root, subset=listed)) not in seen
    listed.write_text("0002\n0001\n")
    assert fingerprint(opened(root, subset=listed)) not in seen
    assert fingerprint(opened(root), facts=["another class map"]) not in seen


def test_a_change_of_the_class_map_changes_it(root, tmp_path):
    path = tmp_path / "map.toml"
    prints = set()
    for kept in ("1", "2", "3"):
        path.write_text(f'classes = ["shape"]\n[data]\n"{kept}" = "shape"\n')
        prints.add(fingerprint(opened(root, remap=path)))
    assert len(prints) == 3


def test_a_change_of_the_number_of_classes_or_of_labels_changes_it(root):
    assert fingerprint(opened(root, num_classes=5)) != fingerprint(opened(root))
    (root / "labels.csv").write_text("name,label\n0000,a\n0001,b\n0002,a\n")
    before = fingerprint(open_layout("joint_folder", root, num_classes=4))
    (root / "labels.csv").write_text("name,label\n0000,a\n0001,b\n0002,b\n")
    assert fingerprint(open_layout("joint_folder", root, num_classes=4)) != before


def test_a_copy_with_other_times_is_known_again(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy" / "images" / "0002.png", ns=(1, 1))
    assert fingerprint(opened(tmp_path / "copy")) == fingerprint(opened(root))


def test_nothing_is_decoded_for_it(root):
    layout = opened(root)
    for path in (root / "images").iterdir():
        path.write_bytes(b"no image")
    fingerprint(layout)
    (root / "images" / "0000.png").unlink()
    fingerprint(layout)


def test_what_was_found_is_kept_until_something_changes(root, tmp_path):
    folder = tmp_path / "cache" / "reports"
    read = []

    def check(**kwargs):
        read.clear()
        return cached_check(opened(root), folder, advance=lambda: read.append(1), **kwargs)

    first = check()
    assert len(read) == 3
    assert first == check_layout(opened(root))
    assert check() == first
    assert read == []
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(root / "masks" / "0001.png")
    assert len(check().errors) == 1
    assert len(read) == 3
    os.utime(root / "masks" / "0002.png", ns=(1, 1))  # as an edit beyond the fingerprint's sight
    check()
    assert len(read) == 3
    other = write_mask_folder(tmp_path / "other", num_images=2, size=(20, 30))
    check(against={"other": opened(other)})
    assert len(read) == 5
    check(against={"other": opened(other)})
    assert read == []
    Image.new("RGB", (30, 20)).save(other / "images" / "0001.png")
    check(against={"other": opened(other)})
    assert len(read) == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": 3}'])
def test_a_damaged_report_is_made_anew(root, tmp_path, text):
    first = cached_check(opened(root), tmp_path)
    (kept,) = tmp_path.glob("data-*.json")
    kept.write_text(text)
    assert cached_check(opened(root), tmp_path) == first
    assert len(kept.read_text()) > 100


def test_a_cache_that_cannot_be_made_costs_the_time_alone(root, tmp_path):
    (tmp_path / "file").write_text("")
    found = cached_check(opened(root), tmp_path / "file" / "cache")
    assert found == check_layout(opened(root))
