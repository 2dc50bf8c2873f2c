"""Networks for volumes learn by recipes as those for images do, and go on to the bit."""

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

import nibabel
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.inference.volumes.plan import BASE, plan_volume
from atrous.networks.catalog import build_network
from atrous.networks.weights import load_weights
from atrous.training import validate
from atrous.training.batches_volumes import VolumeViews
from atrous.training.recipe.file import recipe_of, recipe_text
from atrous.training.run.open import open_run
from atrous.training.validate import dice_of_case, predict_volume


def finish(recipe, folder):
    run = open_run(recipe, folder, Accelerator(cpu=True))
    for _ in run.steps():
        pass
    return run


def assert_equal_bits(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.slow
def test_a_stopped_training_of_volumes_ends_with_the_same_bits(volume_recipe, tmp_path):
    finish(volume_recipe, tmp_path / "whole")
    for stop in (1, 5):  # in the first epoch, and after an evaluation
        run = open_run(volume_recipe, tmp_path / "parts", Accelerator(cpu=True))
        for progress in run.steps():
            if progress.step.number >= stop:
                run.save()
                break
    finish(replace(volume_recipe, num_workers=2), tmp_path / "parts")
    for name in ("best.safetensors", "last.safetensors"):
        assert_equal_bits(
            load_file(tmp_path / "whole" / name), load_file(tmp_path / "parts" / name)
        )


def test_the_recipe_says_how_many_threads_compute_and_only_while_it_trains(volume_recipe, tmp_path):
    before = torch.get_num_threads()
    run = open_run(replace(volume_recipe, num_threads=before + 2), tmp_path, Accelerator(cpu=True))
    steps = run.steps()
    next(steps)
    assert torch.get_num_threads() == before + 2
    steps.close()
    assert torch.get_num_threads() == before
    with pytest.raises(DataError, match="num_threads = 0, expected at least 1"):
        replace(volume_recipe, num_threads=0)


def test_balls_are_learned_and_the_score_is_that_of_the_kept_weights(volume_recipe, tmp_path):
    plain = {
        "optimiser": "sgd",
        "learning_rate": 0.1,
        "rotation": 0.0,
        "gamma": 0.0,
        "bias_field": 0.0,
        "scale": (1.0, 1.0),
        "warp_probability": 1.0,
        "ema": None,
    }
    recipe = replace(volume_recipe, epochs=30, evaluate_every=30, views_per_volume=3, **plain)
    run = finish(recipe, tmp_path)
    scores = run.history[-1]["scores"]
    assert scores["dice"] > 70
    assert scores["dice"] == pytest.approx((scores["dice_ball"] + scores["dice_core"]) / 2)

    weights = load_weights(tmp_path / "best.safetensors")
    assert {score.metric for score in weights.card.scores} == {"dice", "dice_ball", "dice_core"}
    dice = []
    for index in range(len(run.data.val)):
        image, mask = run.volumes.val[index].tensors()
        with torch.inference_mode():
            said = weights.network(image[None])[0].argmax(0)
        dice.append([dice_of_case(mask, said, [c]) for c in (1, 2)])
    assert 100 * np.mean(dice) == pytest.approx(scores["dice"])


def test_an_epoch_sees_every_volume_as_often_as_asked(volume_recipe, tmp_path):
    run = open_run(volume_recipe, tmp_path, Accelerator(cpu=True))
    assert run.steps_per_epoch == 4 * 2 // 2
    views = run._views()
    assert isinstance(views, VolumeViews)
    assert len(views) == 8


def test_the_cache_is_made_anew_for_other_data(volume_recipe, balls, tmp_path):
    run = open_run(volume_recipe, tmp_path, Accelerator(cpu=True))
    image = tmp_path / "volumes/train/0000-image.npy"
    before = image.stat().st_mtime_ns
    open_run(volume_recipe, tmp_path, Accelerator(cpu=True))
    assert image.stat().st_mtime_ns == before
    index = tmp_path / "volumes/train/index.json"
    index.write_text(index.read_text()[:40])  # cut off
    open_run(volume_recipe, tmp_path, Accelerator(cpu=True))
    assert image.stat().st_mtime_ns != before
    kept = run.volumes.train[0]
    scan = nibabel.load(balls / "train/images/ball_00.nii.gz")
    assert kept.image.shape[1:] == scan.shape[::-1]  # D is NIfTI's last axis, W its first
    assert kept.spacing == (2.0, 1.0, 1.0)


def test_regions_are_scored_instead_of_classes(volume_recipe, tmp_path):
    regions = {"whole": ("ball", "core"), "inner": ("core",)}
    recipe = replace(
        volume_recipe, regions=regions, losses={"cross_entropy": 1.0, "region_dice": 1.0}, epochs=1
    )
    run = finish(recipe, tmp_path)
    assert set(run.history[-1]["scores"]) == {"dice", "dice_whole", "dice_inner"}
    with pytest.raises(UnknownNameError, match="Did you mean 'core'"):
        open_run(
            replace(recipe, regions={"whole": ("cor",)}), tmp_path / "x", Accelerator(cpu=True)
        )


def test_weights_of_images_start_a_network_for_volumes(volume_recipe, recipe, tmp_path):
    flat = {"width": 4, "num_stages": 2, "has_auxiliary": True, "spatial_dims": 2, "in_channels": 3}
    images = replace(
        recipe, network="residual_unet", network_arguments=flat, epochs=1, class_weights="none"
    )
    finish(images, tmp_path / "images")
    given = str(tmp_path / "images/last.safetensors")
    changes = {"weights": given, "replace_head": True}
    run = open_run(
        replace(volume_recipe, inflate="mean", **changes),
        tmp_path / "volumes",
        Accelerator(cpu=True),
    )
    flat_state, deep = load_file(given), run.state.network.state_dict()
    name = "encoder.stages.1.0.conv1.conv.weight"
    torch.testing.assert_close(deep[name].sum(2), flat_state[name])
    assert torch.equal(deep[name][:, :, 0], deep[name][:, :, 2])
    of_volumes = str(finish(replace(volume_recipe, epochs=1), tmp_path / "v").folder.last)
    with pytest.raises(DataError, match="none of the weights is a kernel of images"):
        open_run(
            replace(volume_recipe, inflate="mean", weights=of_volumes),
            tmp_path / "other",
            Accelerator(cpu=True),
        )


def test_a_recipe_of_volumes_survives_its_file(volume_recipe):
    import tomllib

    recipe = replace(
        volume_recipe, regions={"whole": ("ball", "core")}, size_steps=((0.5, 8, 8, 8),)
    )
    assert recipe_of(tomllib.loads(recipe_text(recipe)), where="text") == recipe
    assert [recipe.size_in(epoch) for epoch in (0, 1)] == [(8, 8, 8), (12, 12, 12)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hue": 0.1}, "hue = 0.1 is of images, but the data are volumes"),
        ({"size": (12, 12)}, "expected 3 lengths"),
        ({"views_per_volume": 0}, "views_per_volume = 0"),
        ({"losses": {"region_dice": 1.0}}, "there are no regions"),
        ({"auxiliary_decay": 0.0}, "auxiliary_decay"),
        ({"network_arguments": {"in_channels": 4}}, "in_channels"),
    ],
)
def test_what_cannot_be_trained_on_volumes_is_refused(volume_recipe, tmp_path, changes, message):
    with pytest.raises((DataError, ShapeError), match=message):
        finish(replace(volume_recipe, **changes), tmp_path)


def test_keys_of_volumes_are_refused_for_images(recipe, tmp_path):
    with pytest.raises(DataError, match=r"gamma = 0\.3 is of volumes, but the data are images"):
        open_run(replace(recipe, gamma=0.3), tmp_path, Accelerator(cpu=True))


@pytest.fixture
def fresh_accelerate():
    """Accelerate remembers the first precision of a process; forget it before and after."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("fresh_accelerate")
def test_bfloat16_trains_volumes_on_a_cpu(volume_recipe, tmp_path):
    run = open_run(
        replace(volume_recipe, precision="bfloat16", epochs=1),
        tmp_path,
        Accelerator(cpu=True, mixed_precision="bf16"),
    )
    losses = [progress.step.losses["total"] for progress in run.steps()]
    assert np.isfinite(losses).all()


def test_channels_are_picked_by_name_where_the_data_names_them(volume_recipe, balls, tmp_path):
    for part in ("train", "val"):
        shutil.copytree(balls / part, tmp_path / "data" / part)
        (tmp_path / "data" / part / "channels.txt").write_text("t1\n")
    recipe = replace(volume_recipe, data=(str(tmp_path / "data"),))
    run = open_run(recipe, tmp_path / "run", Accelerator(cpu=True))
    assert run.card.volume.channel_names == ("t1",)
    with pytest.raises(DataError, match="The data has the channels t1: it has no t2"):
        open_run(replace(recipe, channel_names=("t2",)), tmp_path / "other", Accelerator(cpu=True))


def test_a_scan_that_does_not_fit_is_measured_in_parts_with_the_same_labels(monkeypatch):
    arguments = {"in_channels": 1, "num_classes": 3, "width": 2, "num_stages": 2}
    network = build_network("residual_unet", arguments).eval()
    image = torch.randn(1, 37, 41, 66)
    measured = partial(predict_volume, network, image, num_classes=3, device=torch.device("cpu"))
    with torch.no_grad():
        whole = measured()
        kinds = []

        def plan(*args, **kwargs):
            found = plan_volume(*args, **kwargs, ceiling=BASE + 8_000_000)
            kinds.append((found.kind, len(found.parts) > 1))
            return found

        monkeypatch.setattr(validate, "plan_volume", plan)
        in_parts = measured()
    assert kinds == [("exact", True)]
    assert torch.equal(in_parts, whole)


def test_classes_of_two_sides_are_not_mirrored_into_each_other(volume_recipe, tmp_path):
    names = ("background", "Left lung", "Right lung")[: volume_recipe.num_classes]
    sided = replace(volume_recipe, class_names=names)
    with pytest.raises(DataError, match=r"'Left lung' and 'Right lung' would be .* \[0, 1\]"):
        open_run(sided, tmp_path / "run", Accelerator(cpu=True))
    assert not (tmp_path / "run").exists()
    along_others = replace(sided, flip_axes=(0, 1))
    assert open_run(along_others, tmp_path / "run", Accelerator(cpu=True)).card.class_names == names


def test_masks_of_0_and_255_hold_nothing_to_learn(volume_recipe, balls, tmp_path):
    shutil.copytree(balls, tmp_path / "data")
    for path in (tmp_path / "data" / "train" / "labels").iterdir():
        image = nibabel.load(path)
        labels = np.where(np.asarray(image.dataobj) > 0, 255, 0).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(labels, image.affine), path)
    recipe = replace(volume_recipe, data=(str(tmp_path / "data"),))
    with pytest.raises(DataError, match="0 and 255 only, and 255 is unlabelled"):
        open_run(recipe, tmp_path / "run", Accelerator(cpu=True))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from atrous.training.recipe.file import read_recipe
from atrous.training.run.open import open_run

torch.set_num_threads(1)  # as the run that it is compared with: sums in another order differ
recipe, out = map(Path, sys.argv[1:])
kills = 0
while True:
    child = os.fork()
    if child == 0:
        run = open_run(read_recipe(recipe), out, Accelerator(cpu=True))
        begun = run.state.step
        for progress in run.steps():
            if progress.step.number == begun + 2:
                run.save()
            if progress.step.number == begun + 3:  # one step is lost
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    end = os.waitpid(child, 0)[1]
    kills += end == signal.SIGKILL
    if end != signal.SIGKILL:
        break
print(end, kills)
"""


@pytest.mark.slow
def test_a_killed_training_of_volumes_ends_with_the_same_bits(volume_recipe, tmp_path):
    finish(volume_recipe, tmp_path / "whole")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe_text(volume_recipe))
    command = (sys.executable, "-c", KILLED, str(recipe), str(tmp_path / "killed"))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    end, kills = map(int, done.stdout.split()[-2:])
    assert end == 0, done.stderr
    assert kills >= 2
    for name in ("best.safetensors", "last.safetensors"):
        assert_equal_bits(
            load_file(tmp_path / "whole" / name), load_file(tmp_path / "killed" / name)
        )
