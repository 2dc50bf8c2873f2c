"""Scans run whole, in exact parts and in blended ones; killed and resumed; put back in place."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from atrous.data.volumes.geometry import Volume, VolumeGeometry
from atrous.errors import DataError, ShapeError
from atrous.inference.tiles.sums import window_weights
from atrous.inference.volumes import plan as volume_plan
from atrous.inference.volumes.predictor import (
    VolumePredictor,
    VolumeSettings,
    file_values,
    keep_largest,
)
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.weights import save_weights

SIZE = (37, 26, 30)
BASE = volume_plan.BASE


def predictor_of(network="residual_unet", arguments=None, channels=1, **facts):
    arguments = arguments or {"in_channels": channels, "width": 2, "num_stages": 2}
    card = Card(
        name="a.b",
        network=network,
        arguments={**arguments, "num_classes": 3},
        task="segmentation",
        class_names=("background", "one", "two"),
        palette=((0, 0, 0), (255, 0, 0), (0, 255, 0)),
        preprocessing=Preprocessing(mean=(0.0,) * channels, std=(1.0,) * channels),
        volume=VolumeSpec(channel_names=("t1", "t2")[:channels], **facts),
    )
    torch.manual_seed(0)
    built = build_network(network, card.arguments).eval()
    with torch.no_grad():
        for tensor in built.parameters():
            if tensor.ndim > 1:
                tensor.mul_(3)  # so that all classes are said somewhere
    return VolumePredictor(built, card)


def scan(size=SIZE, channels=1):
    array = np.random.default_rng(0).normal(size=(channels, *size)).astype(np.float32)
    geometry = VolumeGeometry(
        header=b"",
        version=1,
        shape=size[::-1],
        affine=tuple(map(tuple, np.eye(4).tolist())),
        sform_code=1,
        qform_code=0,
        unit="mm",
        axes=(2, 1, 0),
        is_reversed=(False, False, False),
    )
    return Volume(array=array, spacing=(1.0, 1.0, 1.0), geometry=geometry)


def whole(predictor, volume, **options):
    return predictor.predict(volume, VolumeSettings(context="whole", **options)).mask


def tight(predictor, volume, **options):
    """A ceiling that holds parts of the scan but not the whole."""
    needed = predictor.predict(volume, VolumeSettings(**options)).plan.needed
    return BASE + (needed - BASE) * 9 // 10


def test_exact_parts_give_every_voxel_the_label_that_the_whole_gives():
    predictor, volume = predictor_of(), scan()
    expected = whole(predictor, volume)
    assert len(expected.unique()) > 1
    found = predictor.predict(
        volume, VolumeSettings(context="exact", memory=tight(predictor, volume))
    )
    assert found.plan.kind == "exact"
    assert len(found.plan.parts) > 1
    assert torch.equal(found.mask, expected)


def test_parts_are_exact_with_flips_too():
    predictor, volume = predictor_of(), scan()
    memory = tight(predictor, volume, flips=(2,))
    found = predictor.predict(volume, VolumeSettings(context="exact", memory=memory, flips=(2,)))
    assert len(found.plan.parts) > 1
    assert torch.equal(found.mask, whole(predictor, volume, flips=(2,)))


def test_flips_average_the_logits_of_every_mirrored_scan():
    predictor, volume = (
        predictor_of(arguments={"in_channels": 1, "width": 2, "num_stages": 2}),
        scan(),
    )
    x = predictor.network.pad(torch.from_numpy(volume.array)[None])
    with torch.inference_mode():
        every = [(), (2,), (4,), (2, 4)]
        mean = sum(predictor.network(x.flip(dims)).flip(dims) for dims in every) / 4
    expected = mean[0, :, : SIZE[0], : SIZE[1], : SIZE[2]].argmax(0)
    assert torch.equal(whole(predictor, volume, flips=(0, 2)).long(), expected)


def test_blended_windows_give_the_weighted_mean_of_monais_sliding_window():
    inferers = pytest.importorskip("monai.inferers", reason="the oracle")
    size, window = (24, 16, 32), (16, 16, 16)
    predictor, volume = predictor_of(window=window), scan(size)
    found = predictor.predict(volume, VolumeSettings(context="blended"))
    assert found.plan.kind == "blended"
    with torch.inference_mode():
        logits = inferers.sliding_window_inference(
            torch.from_numpy(volume.array)[None],
            window,
            1,
            predictor.network,
            overlap=0.5,
            mode="gaussian",
            sigma_scale=0.125,
        )
    assert torch.equal(found.mask.long(), logits[0].argmax(0))


def test_windows_begin_where_nnunets_do_and_cover_the_scan():
    predictor = predictor_of()
    plan = volume_plan.plan_volume(
        predictor.network, (110, 64, 20), in_channels=1, num_classes=3, wish="blended",
        window=(64, 64, 64),
    )  # fmt: skip
    assert [part.window[0].start for part in plan.parts] == [0, 23, 46]
    assert all(part.window[2] == slice(0, 20) for part in plan.parts)


def test_windows_that_do_not_fit_are_halved_along_one_axis_at_a_time():
    network, size = predictor_of().network, (64, 64, 64)

    def plan(ceiling):
        return volume_plan.plan_volume(
            network, size, in_channels=1, num_classes=3, wish="blended", window=(32, 32, 32),
            ceiling=ceiling,
        )  # fmt: skip

    whole, half = plan(10**10), plan(plan(10**10).needed - 1)
    assert whole.parts[0].window == (slice(0, 32),) * 3
    assert half.parts[0].window == (slice(0, 16), slice(0, 32), slice(0, 32))


def test_a_gaussian_is_one_in_the_middle_and_an_eighth_of_the_window_wide():
    weights = window_weights((33, 1, 1)).flatten()
    assert weights[16] == 1
    assert float(weights[16 + 4]) == pytest.approx(np.exp(-0.5 * (4 / (33 / 8)) ** 2))
    assert weights.min() > 0


def test_crop_and_spacing_are_undone():
    predictor = predictor_of(crop="nonzero", normalise="z_score", spacing=(2.0, 1.0, 1.0))
    volume = scan()
    volume.array[:, :10] = 0
    labels = whole(predictor, volume)
    assert tuple(labels.shape) == SIZE
    assert not labels[:10].any()
    assert labels[10:].any()


def test_3d_espnet_averages_its_own_size_and_another():
    arguments = {"in_channels": 1}
    predictor = predictor_of("espnet3d", arguments, working_sizes=((24, 24, 24),))
    volume = scan((16, 20, 24))
    x = torch.from_numpy(volume.array)[None]
    with torch.inference_mode():
        mean = (predictor.network(x) + predictor.network(x, working_size=(24, 24, 24))) / 2
    assert torch.equal(whole(predictor, volume).long(), mean[0].argmax(0))


def test_what_sees_everything_cannot_be_exact_and_is_blended_where_it_does_not_fit():
    predictor, volume = predictor_of("espnet3d", {"in_channels": 1}), scan((32, 32, 32))
    with pytest.raises(DataError, match="no halo is wide enough"):
        predictor.predict(volume, VolumeSettings(context="exact"))
    needed = predictor.predict(volume).plan.needed
    less = BASE + (needed - BASE) // 2
    assert predictor.predict(volume, VolumeSettings(memory=less)).plan.kind == "blended"
    with pytest.raises(DataError, match=r"needs about .* GB.*; expected at most .* raise --memory"):
        predictor.predict(volume, VolumeSettings(memory=BASE))


def test_a_grid_beyond_the_ceiling_is_refused_before_it_is_made():
    """Metres for millimetres: a scan of 32 voxels would become one of 32,000 along each axis."""
    predictor, volume = predictor_of(spacing=(1.0, 1.0, 1.0)), scan((32, 32, 32))
    with pytest.raises(DataError, match=r"grid of 32000 x 32000 x 32000, needs .* GB at least"):
        predictor.predict(replace(volume, spacing=(1000.0, 1000.0, 1000.0)))


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import test_predictor as tests
from atrous.inference.volumes.predictor import VolumeSettings
def stop(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
tests.predictor_of(window=(16, 16, 16)).predict(
    tests.scan(), VolumeSettings(context="blended"), journal=Path(sys.argv[1]), keep_every=0,
    advance=stop,
)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(tmp_path):
    journal = tmp_path / "sums.npz"
    folder = os.path.dirname(__file__)  # noqa: PTH120 - a text for the other process
    process = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=folder), str(journal)], check=False
    )
    assert process.returncode == -signal.SIGKILL
    predictor, volume = predictor_of(window=(16, 16, 16)), scan()
    options = VolumeSettings(context="blended")
    resumed = predictor.predict(volume, options, journal=journal)
    assert resumed.num_resumed == 3
    assert torch.equal(resumed.mask, predictor.predict(volume, options).mask)
    other = scan()
    other.array[0, 0, 0, 0] += 1
    with pytest.raises(DataError, match="the beginning of another run"):
        predictor.predict(other, options, journal=journal)
    journal.write_bytes(b"PK\3\4 no such thing")
    with pytest.raises(DataError, match="cannot be read"):
        predictor.predict(volume, options, journal=journal)


def test_only_the_largest_part_of_a_class_is_kept_corners_connecting():
    labels = torch.zeros(6, 6, 6, dtype=torch.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    labels[5, 5, 4:6] = 1
    labels[5, 0, 0] = 2
    keep_largest(labels, 1)
    assert int((labels == 1).sum()) == 3
    assert labels[5, 0, 0] == 2


def test_values_of_the_card_are_written_for_class_indices():
    facts = VolumeSpec(channel_names=("t1",), label_values=(0, 1, 2, 4))
    assert file_values(torch.tensor([3, 0, 2]), facts).tolist() == [4, 0, 2]
    assert file_values(torch.tensor([3]), VolumeSpec(channel_names=("t1",))).tolist() == [3]


def test_networks_of_images_and_flips_that_are_none_are_refused(tmp_path):
    card = replace(predictor_of().card, volume=None)
    save_weights(tmp_path / "a.safetensors", build_network(card.network, card.arguments), card)
    with pytest.raises(DataError, match="expected a network for volumes"):
        VolumePredictor(build_network(card.network, card.arguments), card)
    with pytest.raises(ShapeError, match="at most once"):
        VolumeSettings(flips=(3,))
