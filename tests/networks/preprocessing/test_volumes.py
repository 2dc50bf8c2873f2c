"""Crop, normalisation and resampling of scans, and the way back to their grid."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import DataError, ShapeError
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.preprocessing.volumes import prepare_scan

UNIT = (1.0, 1.0, 1.0)


def scan(channels=2, size=(9, 10, 11), seed=0):
    rng = np.random.default_rng(seed)
    array = np.zeros((channels, *size), np.float32)
    array[:, 2:8, 3:7, 1:9] = rng.uniform(5, 50, size=(channels, 6, 4, 8))
    return array


def facts(channels=2, **options):
    return VolumeSpec(channel_names=tuple("abcd"[:channels]), **options)


def one_hot(labels, num_classes=3):
    return F.one_hot(labels, num_classes).permute(3, 0, 1, 2).float()


def test_the_box_is_that_of_all_channels_and_zeros_are_said_outside_it():
    array = scan()
    array[1, 0, 5, 5] = 1
    prepared = prepare_scan(array, UNIT, facts(crop="nonzero"))
    assert prepared.box == (slice(0, 8), slice(3, 7), slice(1, 9))
    assert np.array_equal(prepared.image, array[:, :8, 3:7, 1:9])
    labels = torch.ones(prepared.size, dtype=torch.int64)
    back = prepared.restore_classes(one_hot(labels))
    assert back.shape == array.shape[1:]
    assert int(back.sum()) == 8 * 4 * 8


def test_a_scan_of_zeros_is_kept_whole_and_stays_zero():
    prepared = prepare_scan(
        np.zeros((2, 3, 4, 5), np.float32),
        UNIT,
        facts(crop="nonzero", normalise="z_score", is_inside=True),
    )
    assert prepared.image.shape == (2, 3, 4, 5)
    assert not prepared.image.any()


def test_scans_that_were_normalised_before_have_the_lowest_value_around_the_head():
    array = scan()
    how = {"crop": "nonzero", "normalise": "z_score", "is_inside": True}
    expected = prepare_scan(array, UNIT, facts(**how))
    shifted = np.where(array == 0, -7, 3 * array / array.max() + 2).astype(np.float32)
    prepared = prepare_scan(shifted, UNIT, facts(outside="lowest", **how))
    assert prepared.box == expected.box
    assert np.allclose(prepared.image, expected.image, atol=1e-4)


@pytest.mark.parametrize("is_inside", [False, True])
def test_normalised_channels_have_the_statistics_they_should(is_inside):
    array = scan()
    z = prepare_scan(array, UNIT, facts(normalise="z_score", is_inside=is_inside)).image
    m = prepare_scan(array, UNIT, facts(normalise="min_max", is_inside=is_inside)).image
    where = array != 0 if is_inside else np.ones(array.shape, bool)
    for channel in range(2):
        inside = where[channel]
        assert z[channel][inside].mean() == pytest.approx(0, abs=1e-5)
        assert z[channel][inside].std() == pytest.approx(1, abs=1e-5)
        assert m[channel][inside].min() == 0
        assert m[channel][inside].max() == 1
        assert not z[channel][~inside].any()


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_a_ramp_is_resampled_at_the_same_places_in_the_world(interpolation):
    ramp = np.arange(24, dtype=np.float32)[None, :, None, None] + np.zeros((1, 1, 6, 4), np.float32)
    prepared = prepare_scan(
        ramp, (1.0, 2.0, 3.0), facts(1, spacing=(0.5, 2.0, 1.0), interpolation=interpolation)
    )
    assert prepared.size == (48, 6, 12)
    centres = (np.arange(48) + 0.5) * 0.5 - 0.5  # in voxels of the scan
    inner = slice(8, 40)  # a cubic bends where the ramp ends
    assert np.allclose(prepared.image[0, inner, 3, 5], centres[inner], atol=1e-3)


def test_resampling_is_torchs_where_both_are_linear():
    array = scan(1)
    prepared = prepare_scan(array, (1.0, 1.0, 1.0), facts(1, spacing=(0.7, 1.6, 0.9)))
    theirs = F.interpolate(
        torch.from_numpy(array)[None], size=prepared.size, mode="trilinear", align_corners=False
    )
    assert np.allclose(prepared.image, theirs[0].numpy(), atol=1e-3)


def test_labels_come_back_where_they_were_after_finer_resampling_and_crop():
    array = scan(1)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 3, size=array.shape[1:]))
    labels = labels * torch.from_numpy(array[0] != 0)
    prepared = prepare_scan(array, UNIT, facts(1, crop="nonzero", spacing=(1 / 3, 1 / 3, 1 / 3)))
    fine = prepared.prepare_labels(labels)
    assert tuple(fine.shape) == prepared.size
    assert torch.equal(prepared.restore_classes(one_hot(fine)).long(), labels)


def test_other_channels_and_facts_that_cannot_be_are_refused():
    with pytest.raises(ShapeError, match=r"has 1 channels; expected 2: a, b"):
        prepare_scan(scan(1), UNIT, facts())
    for wrong in ({"crop": "box"}, {"spacing": (1.0, 0.0, 1.0)}, {"label_values": (0, 300)}):
        with pytest.raises(DataError, match="not possible"):
            facts(**wrong)


def test_a_card_holds_the_facts_and_refuses_those_of_other_classes():
    def card(**options):
        return Card(
            name="n.v",
            network="espnet3d",
            task="segmentation",
            class_names=("background", "tumour"),
            palette=((0, 0, 0), (255, 0, 0)),
            preprocessing=Preprocessing(mean=(0.0, 0.0), std=(1.0, 1.0)),
            volume=facts(**options),
        )

    whole = card(
        spacing=(1.0, 2.0, 3.0),
        regions={"WT": (1,)},
        working_sizes=((144, 144, 144),),
        window=(8, 8, 8),
    )
    assert Card.from_json(whole.to_json()) == whole
    for wrong in ({"largest_only": ("liver",)}, {"regions": {"WT": (2,)}}, {"label_values": (0,)}):
        with pytest.raises(DataError, match="its classes are background, tumour"):
            card(**wrong)


def test_a_window_of_ct_comes_before_the_statistics():
    """Air and metal become the window's ends: -100 to 240 HU as [0, 1]."""
    array = np.array([-1000.0, -100, 70, 240, 3000, 70, 70, 70], np.float32).reshape(1, 2, 2, 2)
    image = prepare_scan(
        array, UNIT, facts(channels=1, normalise="min_max", clip_values=(-100.0, 240.0))
    ).image
    assert image.ravel()[:5] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_window_that_is_none_is_refused():
    with pytest.raises(DataError, match="clip values"):
        facts(clip_values=(240.0, -100.0))
