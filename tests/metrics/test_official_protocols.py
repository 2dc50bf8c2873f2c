"""Protocols `voc` and `cityscapes` are the arithmetic of those data sets' official scripts."""

import math
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atrous.data.layouts.cityscapes import LABEL_IDS, Cityscapes
from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics import Confusion, bootstrap_mean_iou, check_protocol, score

VOID = 19
"""The class of the authors' 20-class Cityscapes networks that stands for everything else."""


def draw(seed, values, shape=(16, 24)):
    """Random pixels; a random half of the values, so that classes are absent now and then."""
    generator = np.random.default_rng(seed)
    some = generator.choice(values, max(2, len(values) // 2), replace=False)
    return generator.choice(some, shape).astype(np.uint8)


def as_label_ids(prediction):
    """What one submits: a class as its label id, void as 0, "unlabeled"."""
    return np.array([*LABEL_IDS, 0], np.uint8)[prediction]


def official_cityscapes_iou(pairs):
    """IoU by label id, from the published definition, over pairs of truth and prediction."""
    truth, predicted = (
        np.concatenate([ids.ravel() for ids in side]) for side in zip(*pairs, strict=True)
    )
    is_scored = np.isin(truth, LABEL_IDS)
    iou = []
    for label in LABEL_IDS:
        hit = np.sum((truth == label) & (predicted == label))
        missed = np.sum((truth == label) & (predicted != label))
        false = np.sum((truth != label) & is_scored & (predicted == label))
        total = hit + missed + false
        iou.append(hit / total if total else math.nan)
    return iou


def official_voc_iou(truth, prediction):
    """The development kit's loop: rows of truth, columns of prediction, 255 in truth left out."""
    counts = np.zeros((21, 21), np.int64)
    for actual, seen in zip(truth.ravel(), prediction.ravel(), strict=True):
        if actual < 255:
            counts[actual, seen] += 1
    iou = []
    for label in range(21):
        hit = counts[label, label]
        total = counts[label].sum() + counts[:, label].sum() - hit
        iou.append(hit / total if total else math.nan)
    return iou


def ours_on_cityscapes(tmp_path, seeds):
    """Masks written as label ids and read by the layout; our scores, and the pairs of ids."""
    confusion = Confusion(num_classes=20)
    pairs = []
    for folder in ("leftImg8bit", "gtFine"):
        (tmp_path / folder / "val" / "ulm").mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        truth = draw(seed, range(34))
        Image.fromarray(truth).save(
            tmp_path / "gtFine" / "val" / "ulm" / f"ulm_{seed}_gtFine_labelIds.png"
        )
        Image.fromarray(np.zeros((*truth.shape, 3), np.uint8)).save(
            tmp_path / "leftImg8bit" / "val" / "ulm" / f"ulm_{seed}_leftImg8bit.png"
        )
        pairs.append((truth, as_label_ids(draw(seed + 1000, range(20)))))
    for index, seed in enumerate(seeds):
        mask = Cityscapes(tmp_path, split="val")[index].mask
        confusion.add(mask, torch.from_numpy(draw(seed + 1000, range(20))))
    return score(confusion.matrix, protocol="cityscapes", void_class=VOID), pairs


@pytest.mark.parametrize("first", [0, 10, 20])
def test_cityscapes_iou_is_the_published_definition_on_label_ids(tmp_path, first):
    ours, pairs = ours_on_cityscapes(tmp_path, range(first, first + 2))
    theirs = official_cityscapes_iou(pairs)
    assert ours.class_iou[:19] == pytest.approx(theirs, nan_ok=True)
    assert ours.mean_iou == pytest.approx(np.nanmean(theirs))
    assert ours.averaged_classes == tuple(range(19))


@pytest.mark.parametrize("first", [0, 10, 20])
def test_cityscapes_iou_is_that_of_the_official_scripts(tmp_path, first):
    name = "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"
    scripts = import_module(name)  # here, since it reads the environment
    ours, pairs = ours_on_cityscapes(tmp_path, range(first, first + 2))
    args = SimpleNamespace(
        evalLabels=[*range(34), -1], evalInstLevelScore=False, evalPixelAccuracy=0
    )
    matrix = np.zeros((35, 35), np.int64)
    truths = sorted(tmp_path.glob("gtFine/val/ulm/*_labelIds.png"))
    for path, (_, predicted) in zip(truths, pairs, strict=True):
        Image.fromarray(predicted).save(tmp_path / path.name)
        scripts.evaluatePair(str(tmp_path / path.name), str(path), matrix, {}, {}, args)
    by_name = {scripts.id2label[i].name: i for i in LABEL_IDS}
    theirs = [scripts.getIouScoreForLabel(i, matrix, args) for i in by_name.values()]
    assert ours.class_iou[:19] == pytest.approx(theirs, nan_ok=True)
    assert ours.mean_iou == pytest.approx(
        scripts.getScoreAverage(dict(zip(by_name, theirs, strict=True)), args)
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_voc_iou_is_that_of_the_development_kit(seed):
    truth, prediction = draw(seed, [*range(21), 255]), draw(seed + 1, range(21))
    confusion = Confusion(num_classes=21)
    confusion.add(torch.from_numpy(truth), torch.from_numpy(prediction))
    ours = score(confusion.matrix, protocol="voc")
    theirs = official_voc_iou(truth, prediction)
    assert ours.class_iou == pytest.approx(theirs, nan_ok=True)
    assert ours.mean_iou == pytest.approx(np.nanmean(theirs))
    assert ours.averaged_classes == tuple(range(21))


def test_a_cityscapes_network_without_void_is_scored_alike():
    matrix = torch.randint(9, (20, 19))
    with_void = torch.zeros(21, 20, dtype=torch.int64)
    with_void[:19, :19], with_void[20, :19] = matrix[:19], matrix[19]
    ours = score(matrix, protocol="cityscapes")
    assert ours.class_iou == pytest.approx(
        score(with_void, protocol="cityscapes", void_class=VOID).class_iou[:19]
    )


@pytest.mark.parametrize(
    ("protocol", "num_classes", "void_class"),
    [("voc", 20, None), ("voc", 21, 0), ("cityscapes", 20, None), ("cityscapes", 19, 18)],
)
def test_networks_of_other_numbers_of_classes_are_refused(protocol, num_classes, void_class):
    message = f"classes besides void; expected {21 if protocol == 'voc' else 19}"
    with pytest.raises(ShapeError, match=message):
        check_protocol(protocol, num_classes=num_classes, void_class=void_class)
    matrix = torch.ones(num_classes + 1, num_classes, dtype=torch.int64)
    with pytest.raises(ShapeError, match=message):
        score(matrix, protocol=protocol, void_class=void_class)
    with pytest.raises(ShapeError, match=message):
        bootstrap_mean_iou(matrix[None], protocol=protocol, void_class=void_class)


def test_an_unknown_protocol_is_refused_before_anything_runs():
    with pytest.raises(UnknownNameError, match="Did you mean 'cityscapes'"):
        check_protocol("cityscape", num_classes=19, void_class=None)
