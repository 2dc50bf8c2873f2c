"""Every key of a recipe, with every kind of data, task, loss and mix, has an effect or is refused.

An effect is that what a run leaves is another: its weights' bits, its card, its scores or its
steps. The table of changes has a row for each key of the declaration, so that a new key without one
fails here.
"""

import csv
import logging
import shutil
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from accelerate import Accelerator
from PIL import Image

from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.errors import AtrousError
from atrous.networks.weights import load_weights
from atrous.training.losses.catalog import LOSSES
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.open import open_run

ELSEWHERE = {
    "patience": "test_patience_ends_a_run_whose_score_rises_no_more",
    "num_workers": "test_batches",
    "cache": "read once or each time",
    "check_data": "pipelines.train",
    "checkpoint_minutes": "test_run",
    "tensorboard": "cli",
    "samples_every": "pipelines.train_pictures",
    "num_threads": "threads of this process",
    "compile": "speed",
    "precision": "pipelines.train, which makes the accelerator by it",
    "accumulate": "test_whole_batch: memory, and no other update",
}
"""Keys that promise no other weights, and where what they do promise is tested."""

IN_OTHER_TESTS = {
    "layout": "no folder here is of two layouts: each but its own refuses it",
    "inflate": "test_start: weights of images",
    "working_sizes": "espnet3d",
    "patch_size": "test_slides",
    "patches_per_epoch": "test_slides",
    "sync_batch_norm": "several GPUs",
    "allow_partial": "test_start",
    "modality_dropout": "scans of several channels",
    "channel_names": "scans of several channels",
}
"""Keys that the kinds of data here all refuse, or that cost too much to be here."""

MAP = """
classes = ["x", "y"]
[data]
"0" = "x"
"1" = "y"
"2" = "y"
"""

ONLY_WITH = {"evaluate_every"}
"""Keys that by themselves say nothing of one epoch, which is what runs here have."""

WEIGHTS = {"weights": "START"}
CHANGES = {
    "name": ("b", {}),
    "network": ("fcn32s", {"network_arguments": {}}),
    "network_arguments": ({"p": 1, "q": 2}, {}),
    "weights": ("START", {}),
    "replace_head": (True, {**WEIGHTS, "num_classes": 5, "class_names": ()}),
    "allow_partial": (True, {}),
    "inflate": ("mean", WEIGHTS),
    "layout": ("binary_folder", {}),
    "data": (("OTHER",), {}),
    "num_classes": (7, {"class_names": ()}),
    "class_names": (("a", "b", "c", "d"), {}),
    "train_split": ("val", {"val_split": "train", "batch_size": 1}),
    "val_split": ("test", {}),
    "train_subset": (("LIST",), {}),
    "val_subset": (("VAL_LIST",), {}),
    "remap": ("MAP", {"num_classes": None, "class_names": ()}),
    "mpp": (0.5, {}),
    "patch_size": ((40, 56), {}),
    "patches_per_epoch": (8, {}),
    "limit": (1, {"batch_size": 1}),
    "predict_size": ((32, 32), {}),
    "predict_shorter_side": (40, {"predict_size": (32, 32)}),
    "mean": ((0.1, 0.2, 0.3), {"std": (0.2, 0.2, 0.2)}),
    "std": ((0.1, 0.2, 0.3), {"mean": (0.2, 0.2, 0.2)}),
    "channel_order": ("BGR", {"mean": (0.1, 0.2, 0.3), "std": (0.2, 0.2, 0.2)}),
    "value_range": (255.0, {"mean": (0.1, 0.2, 0.3), "std": (0.2, 0.2, 0.2)}),
    "final_scale": (0.5, {}),
    "resize_filter": ("bilinear", {"predict_size": (32, 40)}),
    "preprocessing_steps": (("normalise", "resize", "scale"), {}),
    "channel_names": (("t2",), {}),
    "crop": ("nonzero", {}),
    "clip_values": ((0.0, 50.0), {}),
    "normalise": ("min_max", {}),
    "is_inside": (True, {}),
    "outside": ("lowest", {"crop": "nonzero"}),
    "spacing": ((1.0, 1.5, 1.0), {}),
    "interpolation": ("cubic", {"spacing": (1.0, 1.5, 1.0)}),
    "working_sizes": (((8, 8, 8),), {}),
    "largest_only": (("ball",), {}),
    "size": ((32, 48), {}),
    "size_steps": (((0.9, 32, 48),), {}),
    "size_cycle": (((32, 48),), {}),
    "fit": ("stretch", {}),
    "scale": ((0.5, 0.6), {}),
    "aspect": (2.0, {}),
    "flip": (0.0, {}),
    "vertical_flip": (1.0, {}),
    "rotation": (45.0, {}),
    "brightness": (0.5, {}),
    "contrast": (0.5, {}),
    "saturation": (0.9, {}),
    "hue": (0.4, {}),
    "grey": (1.0, {}),
    "stain": (0.5, {}),
    "stain_shift": (0.2, {}),
    "blur": (1.0, {}),
    "noise": (0.5, {}),
    "views_per_volume": (3, {}),
    "foreground": (1.0, {}),
    "elastic": (3.0, {}),
    "warp_probability": (0.5, {"rotation": 45.0}),
    "flip_axes": ((0,), {}),
    "gamma": (0.9, {}),
    "bias_field": (0.5, {}),
    "modality_dropout": (0.5, {}),
    "mix": ("cutmix", {"mix_probability": 1.0}),
    "mix_probability": (1.0, {"mix": "cutmix"}),
    "losses": ({"cross_entropy": 2.0}, {}),
    "regions": ({"all": ("ball", "core")}, {}),
    "class_weights": ("enet", {}),
    "label_smoothing": (0.2, {}),
    "auxiliary_weight": (0.5, {}),
    "auxiliary_decay": (0.5, {"auxiliary_weight": 0.5}),
    "diagnosis_weight": (3.0, {}),
    "epochs": (2, {}),
    "batch_size": (1, {}),
    "optimiser": ("sgd", {}),
    "learning_rate": (0.02, {}),
    "learning_rate_factors": ({"encoder": 0.5}, {}),
    "weight_decay": (0.5, {}),
    "momentum": (0.0, {}),
    "schedule": ("constant", {}),
    "warmup_epochs": (1.0, {}),
    "clip": (1e-3, {"optimiser": "sgd"}),
    "ema": (0.5, {}),
    "freeze_batch_norm": (True, {}),
    "sync_batch_norm": (True, {}),
    "seed": (1, {}),
    "protocol": ("camvid_published", {}),
    "evaluate_every": (2, {"epochs": 2}),
    "source": ("me", {}),
    "licence": ("mine", {}),
}
"""For every key another value, and what else that needs to have an effect."""


def test_every_key_of_the_declaration_has_a_row():
    assert {field.name for field in fields(Recipe)} == CHANGES.keys() | ELSEWHERE.keys()
    assert not CHANGES.keys() & ELSEWHERE.keys()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One data set of each kind, and the files that changes name."""
    root = tmp_path_factory.mktemp("kinds")
    for name in ("masks", "other"):
        for split, count, seed in (("train", 4, 0), ("val", 2, 1), ("test", 2, 2)):
            add = 7 if name == "other" else 0
            write_mask_folder(root / name / split, num_images=count, size=(32, 48), seed=seed + add)
    for path in root.glob("*/val/masks/*.png"):  # protocols differ in what nobody labelled
        mask = np.array(Image.open(path))
        mask[:8] = 255
        Image.fromarray(mask).save(path)
    for split in ("train", "val", "test"):
        shutil.copytree(root / "masks" / split, root / "joint" / split)
        shutil.copytree(root / "other" / split, root / "joint_other" / split)
        for joint in ("joint", "joint_other"):
            names = sorted(p.stem for p in (root / joint / split / "images").iterdir())
            with (root / joint / split / "labels.csv").open("w", newline="") as file:
                rows = [(name, "ab"[index % 2]) for index, name in enumerate(names)]
                csv.writer(file).writerows([("name", "label"), *rows])
            for index, name in enumerate(names):
                target = root / f"{joint}_labels" / split / "ab"[index % 2]
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / joint / split / "images" / f"{name}.png", target)
    (root / "map.toml").write_text(MAP)
    for split in ("train", "val"):
        names = sorted(p.stem for p in (root / "masks" / split / "images").iterdir())
        listed = names[::-1] if split == "train" else names[:1]
        (root / f"{split}.txt").write_text("\n".join(listed) + "\n")
    return root


@pytest.fixture(scope="module")
def ball_folders(tmp_path_factory, make_balls):
    root = tmp_path_factory.mktemp("balls")
    for split, seed in (("train", 0), ("val", 1), ("test", 2)):
        make_balls(root / "volumes" / split, num_volumes=2, seed=seed)
        make_balls(root / "volumes_other" / split, num_volumes=2, seed=seed + 5)
    return root


COMMON = {
    "name": "a",
    "train_split": "train",
    "val_split": "val",
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 0.01,
}
ESPNET = {"network": "espnet", "network_arguments": {"p": 1, "q": 1}}
MASKS = {"num_classes": 4, "class_names": SHAPE_CLASSES, "size": (24, 32)}


@pytest.fixture(scope="module")
def bases(folders, ball_folders):
    """A recipe for each kind of data and task."""
    return {
        "masks": Recipe(
            **COMMON, **ESPNET, **MASKS, layout="mask_folder", data=(str(folders / "masks"),)
        ),
        "labels": Recipe(
            **COMMON,
            network="shufflenet_v2_x0_5",
            layout="image_folder",
            size=(64, 64),
            data=(str(folders / "joint_labels"),),
        ),
        "joint": Recipe(
            **COMMON,
            **{**MASKS, "size": (48, 64)},  # with one sample its batch norms need some positions
            network="ynet",
            layout="joint_folder",
            data=(str(folders / "joint"),),
        ),
        "volumes": Recipe(
            **COMMON,
            network="residual_unet",
            network_arguments={"width": 4, "num_stages": 4, "has_auxiliary": True},
            layout="volume_folder",
            data=(str(ball_folders / "volumes"),),
            num_classes=3,
            class_names=("background", "ball", "core"),
            size=(12, 12, 12),
            views_per_volume=2,
        ),
    }


@pytest.fixture(scope="module")
def starts(bases, tmp_path_factory):
    """Weights of each kind, to start from."""
    root = tmp_path_factory.mktemp("starts")
    for kind, base in bases.items():
        finish(replace(base, seed=9), root / kind)
    return root


def finish(recipe, folder):
    """What a run leaves: its weights' bits, its card, its records and its number of steps."""
    run = open_run(recipe, folder, Accelerator(cpu=True))
    steps = sum(1 for _ in run.steps())
    weights = load_weights(folder / "last.safetensors")
    tensors = weights.network.state_dict()
    bits = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    records = [(record["epoch"], str(record["scores"])) for record in run.history]
    return bits, weights.card.to_json(), records, steps


def filled(value, kind, recipe, folders, starts):
    """A value of the table with the files of this kind in place of their names."""
    names = {
        "START": str(starts / kind / "last.safetensors"),
        "OTHER": _other(recipe),
        "LIST": str(folders / "train.txt"),
        "VAL_LIST": str(folders / "val.txt"),
        "MAP": str(folders / "map.toml"),
    }
    if isinstance(value, tuple):
        return tuple(names.get(item, item) if isinstance(item, str) else item for item in value)
    return names.get(value, value) if isinstance(value, str) else value


def _other(recipe):
    (folder,) = recipe.data
    return (
        folder.replace("/masks", "/other")
        .replace("/joint", "/joint_other")
        .replace("/volumes", "/volumes_other")
    )


def outcome(base, changes, key, folder):
    """`effect`, `refused`, or `none`: of a key beside the changes that it needs."""
    rest = {name: value for name, value in changes.items() if name != key}
    try:
        with_key = finish(replace(base, **changes), folder / "with")
    except AtrousError:
        assert not (folder / "with").exists(), "it is refused after something was written"
        return "refused"
    try:
        without = finish(replace(base, **rest), folder / "without")
    except AtrousError:
        return "effect"  # without it the rest is not possible at all
    return "none" if with_key == without else "effect"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masks", "labels", "joint", "volumes"])
def test_every_key_has_an_effect_or_is_refused(kind, bases, folders, starts, tmp_path):
    found = {}
    for number, (key, (value, needed)) in enumerate(CHANGES.items()):
        if (kind, key) == ("volumes", "network"):
            continue  # those that there are in 3D take gigabytes
        base = bases[kind]
        changes = {**needed, key: value}
        changes = {
            name: filled(item, kind, base, folders, starts) for name, item in changes.items()
        }
        alone = {key: changes[key]}
        for how, given in (("alone", alone), ("with its needs", changes)):
            if needed if how != "alone" else key not in ONLY_WITH:
                found[key, how] = outcome(base, given, key, tmp_path / f"{number}-{how[:5]}")
    counts = Counter(found.values())
    logging.getLogger(__name__).warning("%s %s", kind, dict(counts))
    none = [case for case, what in found.items() if what == "none"]
    assert not none
    _WITH_EFFECT.update(key for (key, _), what in found.items() if what == "effect")


_WITH_EFFECT: set[str] = set()


@pytest.mark.slow
def test_every_key_has_an_effect_somewhere():
    if not _WITH_EFFECT:
        pytest.skip("it looks at what the test before has found")
    assert CHANGES.keys() - IN_OTHER_TESTS.keys() <= _WITH_EFFECT


OF_LOSSES = {
    "losses": lambda loss: ({loss: 2.0}, {}),
    "class_weights": lambda _: ("enet", {}),
    "label_smoothing": lambda _: (0.2, {}),
    "mix_probability": lambda _: (0.9, {}),
    "seed": lambda _: (1, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("mix", ["none", "cutmix", "classmix"])
def test_every_key_of_the_objective_with_every_loss_and_mix(mix, bases, tmp_path):
    found = {}
    for loss in (*LOSSES, "labels"):
        kind = "labels" if loss == "labels" else "masks"
        losses = {"cross_entropy" if loss == "labels" else loss: 1.0}
        base = replace(bases[kind], losses=losses, mix=mix, optimiser="sgd")
        for key, change in OF_LOSSES.items():
            value, _ = change(next(iter(losses)))
            folder = tmp_path / f"{loss}-{key}"
            found[loss, key] = outcome(base, {key: value}, key, folder)
    logging.getLogger(__name__).warning("%s %s", mix, dict(Counter(found.values())))
    assert not [case for case, what in found.items() if what == "none"]
