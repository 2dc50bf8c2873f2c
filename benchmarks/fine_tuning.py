"""Do runs that start from weights and cannot learn begin and end with the score of their start?

    python -m benchmarks.fine_tuning SHARED

SHARED holds `weights` and `data` as the tests' folder does. At a rate of 1e-12 and with frozen
norms the scores of epoch 0 and of epoch 1 must be what `atrous evaluate` gives the start, though
the recipes say nothing of preprocessing. Of VOC and Cityscapes no labelled data lie there: photos
of people stand for the former (classes background and person), CamVid's masks brought to
Cityscapes' classes for the latter. Nor do weights of torchvision: a ResNet-18 made from a seed, in
a state dict by torchvision's names and with a head fitted to its images, stands for them.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from atrous.data.catalog import open_layout
from atrous.networks.convert import convert_checkpoint
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights, save_weights
from atrous.pipelines.evaluate.data import evaluate
from atrous.pipelines.train import train
from atrous.training.recipe.file import recipe_of
from atrous.types import UNLABELLED

_NUM_SAMPLES = 6

_EVERY = 3
"""Of so many samples one is trained on, to no effect; the others are scored."""

_CITYSCAPES_OF_CAMVID = (10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 18, 255)
"""Cityscapes' training index of each of CamVid's twelve, whose last is unlabelled."""

Case = tuple[Path, dict[str, Any]]
"""Start weights, and what a recipe says of the data besides."""


def masks_of(shared: Path, folder: Path, table: tuple[int, ...], *, kind: str) -> dict[str, Any]:
    """A `mask_folder` of the first photos of a data set, their classes by a table."""
    source = shared / "data" / kind
    images, masks = (
        (source / "val", source / "valannot")
        if kind == "camvid"
        else (source / "images", source / "masks")
    )
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for path in sorted(masks.iterdir())[:_NUM_SAMPLES]:
        mask = np.asarray(Image.open(path))
        lookup = np.full(256, 255, np.uint8)
        lookup[: len(table)] = table
        Image.fromarray(lookup[mask]).save(folder / "masks" / path.name)
        photo = next(images.glob(f"{path.stem}.*"))
        shutil.copy(photo, folder / "images" / photo.name)
    return {"layout": "mask_folder", "data": [str(folder)]}


def converted(shared: Path, folder: Path, name: str) -> Path:
    """One of the authors' checkpoints with its card."""
    found = convert_checkpoint(shared / "weights" / name)
    save_weights(folder / "start.safetensors", found.network, found.card)
    return folder / "start.safetensors"


def camvid(shared: Path, folder: Path) -> Case:
    start = converted(shared, folder, "espnet/decoder/espnet_p_2_q_8_camvid.pth")
    data = masks_of(shared, folder / "data", (*range(11), 255), kind="camvid")
    return start, {**data, "size": [360, 480]}


def voc(shared: Path, folder: Path) -> Case:
    start = converted(shared, folder, "espnetv2/espnetv2_s_0.5_pascal_256x256.pth")
    return start, {**masks_of(shared, folder / "data", (0, 15), kind="people"), "size": [256, 256]}


def cityscapes(shared: Path, folder: Path) -> Case:
    start = converted(shared, folder, "espnetv2/espnetv2_s_0.5_city_512x256.pth")
    data = masks_of(shared, folder / "data", _CITYSCAPES_OF_CAMVID, kind="camvid")
    return start, {**data, "size": [256, 512]}


def people(shared: Path, folder: Path) -> Case:
    data = masks_of(shared, folder / "data", (0, 1), kind="people")
    return resolve_weights("people"), {**data, "size": [256, 256]}


def hippocampus(shared: Path, folder: Path) -> Case:
    names = sorted(p.name for p in (shared / "data/hippocampus/images").iterdir())[-_NUM_SAMPLES:]
    for part in ("images", "labels"):
        (folder / "data" / part).mkdir(parents=True)
        for name in names:
            shutil.copy(shared / "data/hippocampus" / part / name, folder / "data" / part / name)
    # What an image is called is not on a card's preprocessing, but in the data.
    return resolve_weights("hippocampus"), {
        "layout": "volume_folder",
        "data": [str(folder / "data")],
        "channel_names": ["t1"],
        "size": [32, 48, 32],
    }


def resnet(shared: Path, folder: Path) -> Case:
    from torchvision import models

    for kind in sorted((shared / "data/imagenette/val").iterdir()):
        (folder / "data" / kind.name).mkdir(parents=True)
        for photo in sorted(kind.iterdir())[: _NUM_SAMPLES // 2]:
            shutil.copy(photo, folder / "data" / kind.name / photo.name)
    torch.manual_seed(0)
    made = models.resnet18(weights=None, num_classes=10).eval()
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    photos = sorted((folder / "data").rglob("*.*"))
    x = torch.stack([preset(Image.open(photo).convert("RGB")) for photo in photos])
    classes = sorted(kind.name for kind in (folder / "data").iterdir())
    truth = torch.tensor([classes.index(photo.parent.name) for photo in photos])
    with torch.no_grad():
        features = torch.nn.Sequential(*list(made.children())[:-1])(x).flatten(1)
        centred = features - features.mean(0)
        # By half of the photos, so that the head is right of some and wrong of others.
        kept = torch.arange(len(truth)) % 2 == 0
        wanted = torch.nn.functional.one_hot(truth, 10).float()[kept]
        weight = torch.linalg.lstsq(centred[kept], wanted, driver="gelsd").solution.T
        made.fc.weight.copy_(weight)
        made.fc.bias.copy_(-weight @ features.mean(0))
    torch.save(made.state_dict(), folder / "made.pth")
    found = convert_checkpoint(folder / "made.pth", class_names=classes)
    save_weights(folder / "start.safetensors", found.network, found.card)
    data = {"layout": "image_folder", "data": [str(folder / "data")]}
    return folder / "start.safetensors", {**data, "size": [224, 224]}


CASES: dict[str, Callable[[Path, Path], Case]] = {
    "authors' ESPNet, CamVid": camvid,
    "authors' ESPNetv2, VOC": voc,
    "authors' ESPNetv2, Cityscapes": cityscapes,
    "shipped people": people,
    "shipped hippocampus": hippocampus,
    "torchvision's ResNet-18, made": resnet,
}


def scores_of(shared: Path, folder: Path, case: Callable[[Path, Path], Case]) -> list[float]:
    """Chief score in percent: by `evaluate`, then of epochs 0 and 1 of a run that cannot learn."""
    folder.mkdir()
    start, said = case(shared, folder)
    card = load_weights(start).card
    layout, root = said["layout"], Path(said["data"][0])
    names = open_layout(layout, root, num_classes=UNLABELLED).names
    (folder / "train.txt").write_text("\n".join(names[::_EVERY]))
    held_out = folder / "val.txt"
    held_out.write_text("\n".join(name for i, name in enumerate(names) if i % _EVERY))
    recipe = recipe_of(
        {
            "name": "again",
            "network": card.network,
            "network_arguments": dict(card.arguments),
            "num_classes": len(card.class_names),
            "weights": str(start),
            "epochs": 1,
            "batch_size": 2,
            "learning_rate": 1e-12,
            "weight_decay": 0.0,
            "freeze_batch_norm": True,
            "num_workers": 0,
            "check_data": False,
            "train_subset": str(folder / "train.txt"),
            "val_subset": str(held_out),
            **said,
        },
        where=__name__,
    )
    run = train(recipe, folder / "run", device="cpu")
    epochs = [record["scores"] for record in run.history]
    assert [record["epoch"] for record in run.history] == [0, 1]
    key = {"image_folder": "top1", "volume_folder": "dice"}.get(layout, "miou")
    found = evaluate(start, root, layout, subset=held_out).record
    value = fmean(found[key].values()) if key == "dice" else found[key]
    return [float(value), *(float(scores[key]) for scores in epochs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    shared = parser.parse_args().shared
    print(f"{'start':31}{'evaluate':>10}{'epoch 0':>10}{'epoch 1':>10}")
    with TemporaryDirectory() as folder:
        for index, (name, case) in enumerate(CASES.items()):
            scores = scores_of(shared, Path(folder) / str(index), case)
            print(f"{name:31}{''.join(f'{score:10.4f}' for score in scores)}", flush=True)


if __name__ == "__main__":
    main()
