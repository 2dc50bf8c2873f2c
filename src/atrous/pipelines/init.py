"""Write a first recipe for a data set: layout, classes and size are found out, keys explained."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from atrous.errors import AtrousError, DataError

if TYPE_CHECKING:
    from atrous.data.dataset import Dataset

_LAYOUTS: Final = (
    *("nnunet", "decathlon", "brats", "cityscapes", "voc", "ade20k", "coco_panoptic"),
    *("coco_stuff", "camvid", "joint_folder", "slides", "volume_folder", "binary_folder"),
    *("mask_folder", "image_folder"),
)
"""In the order in which they are tried: layouts that ask for more come first."""
_TRAIN_SPLITS: Final = (None, "train", "training", "train2017", "Training", "tr")
_VAL_SPLITS: Final = ("val", "valid", "validation", "val2017", "Validation", "test")
_NETWORKS: Final = {"labels": "shufflenet_v2_x0_5", "masks": "espnet", "volumes": "residual_unet"}
_PROBED: Final = 24
"""How many samples are read to find out classes and sizes."""
_LARGEST: Final = {2: 512, 3: 96}
_MULTIPLE: Final = {2: 32, 3: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What a data set seems to be.

    Attributes:
        layout: A name of `atrous.data.catalog.LAYOUTS`.
        train_split: The part to train on; None where there are no parts.
        val_split: The part to validate on; None where none was found.
        num_classes: Number of classes, where the layout does not know it; else None.
        size: What training sees, `(H, W)` or `(D, H, W)`.
        network: A network of the catalog that learns from such data.
        num_samples: How many samples the training part has.
    """

    layout: str
    train_split: str | None
    val_split: str | None
    num_classes: int | None
    size: tuple[int, ...]
    network: str
    num_samples: int


def guess(data: str | Path) -> Guess:
    """Find out what lies in a folder, by trying every layout and reading some samples.

    Raises:
        DataError: If no layout fits; the message lists what was tried.
    """
    root = Path(data)
    if not root.is_dir():
        raise DataError(f"{root} is no folder; expected one that holds a data set; check the path.")
    for layout in _LAYOUTS:
        for split in _TRAIN_SPLITS:
            opened = _opened(layout, root, split)
            if opened is None:
                continue
            dataset, num_classes = opened
            task = "volumes" if dataset.kind == "volumes" else "masks"
            task = task if dataset.has_masks else "labels"
            return Guess(
                layout=layout,
                train_split=split,
                val_split=next((s for s in _VAL_SPLITS if _opened(layout, root, s)), None),
                num_classes=num_classes,
                size=_size(dataset),
                network=_NETWORKS[task],
                num_samples=len(dataset),
            )
    raise DataError(
        f"{root} is laid out as none of {', '.join(_LAYOUTS)}; expected images/ and masks/, or a "
        "folder per class; docs/data.md shows each layout."
    )


def recipe_draft(data: str | Path, found: Guess) -> str:
    """A recipe for that data as TOML, with every other key, its default and meaning as comments."""
    from atrous.training.recipe.describe import describe_keys

    name = Path(data).resolve().name
    values: dict[str, object] = {
        "name": f"{found.network}.{name}",
        "network": found.network,
        "layout": found.layout,
        "data": [str(data)],
        "num_classes": found.num_classes,
        "train_split": found.train_split,
        "val_split": found.val_split,
        "size": list(found.size),
        "epochs": 50,
        "batch_size": 4 if len(found.size) == 3 else 16,
        "learning_rate": 0.001,
    }
    is_volumes = len(found.size) == 3
    lines = [
        f"# {found.network} on {name}: {found.num_samples} samples, layout {found.layout}.",
        "# Layout, classes and size were found out from the files: look whether they are right.",
    ]
    if found.val_split is None:
        lines.append(
            "# No part to validate on was found: make lists by `atrous data … --write-split`."
        )
    for key in describe_keys():
        if key.data == ("images" if is_volumes else "volumes"):
            continue
        lines += ["", *_comment(key.meaning)] if key.meaning else [""]
        value = values.get(key.name)
        if value is not None:
            lines.append(f"{key.name} = {json.dumps(value)}")
        else:
            default = "" if key.default is MISSING else _toml(key.default)
            lines.append(f"# {key.name} = {default}")
    return "\n".join(lines) + "\n"


def _opened(layout: str, root: Path, split: str | None) -> "tuple[Dataset, int | None] | None":
    """The data set and its number of classes where that must be told; None if it does not fit."""
    from atrous.data.catalog import open_layout
    from atrous.types import UNLABELLED

    for num_classes in (None, UNLABELLED):
        try:
            dataset = open_layout(layout, root, split=split, num_classes=num_classes)
            if not len(dataset):
                return None
            dataset[0]
        except (AtrousError, OSError, ValueError, KeyError):
            continue
        return dataset, None if num_classes is None else _count_classes(dataset)
    return None


def _count_classes(dataset: "Dataset") -> int:
    from atrous.types import UNLABELLED

    highest = 0
    for index in _spread(len(dataset)):
        mask = dataset[index].mask
        assert mask is not None  # only layouts of masks are asked for their number of classes
        known = mask[mask != UNLABELLED]
        highest = max(highest, int(known.max()) if known.numel() else 0)
    return highest + 1


def _size(dataset: "Dataset") -> tuple[int, ...]:
    """The median size of some samples, rounded, and no larger than what trains well."""
    from statistics import median_low

    shapes = [tuple(dataset[index].image.shape[1:]) for index in _spread(len(dataset))]
    dims = len(shapes[0])
    lengths = [median_low(axis) for axis in zip(*shapes, strict=True)]
    multiple, largest = _MULTIPLE[dims], _LARGEST[dims]
    return tuple(max(multiple, min(largest, n // multiple * multiple)) for n in lengths)


def _spread(count: int) -> Sequence[int]:
    step = max(1, count // _PROBED)
    return range(0, count, step)[:_PROBED]


def _comment(text: str) -> list[str]:
    import textwrap

    return [f"# {line}" for line in textwrap.wrap(text, 96)]


def _toml(value: object) -> str:
    """A default as TOML writes it."""
    if isinstance(value, dict) or hasattr(value, "items"):
        pairs = ", ".join(f"{k} = {json.dumps(v)}" for k, v in dict(value).items())  # type: ignore[call-overload]
        return f"{{{pairs}}}"
    return "" if value is None else json.dumps(list(value) if isinstance(value, tuple) else value)
