"""The authors' Y-Net checkpoints, of the segmenter alone and of the whole.

Source: key names, shapes and the order of channels from the authors' code.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, network_entry
from atrous.networks.convert.authors_keys import UNIT, layer_rules, part_rules
from atrous.networks.convert.origin import (
    AUTHORS_LICENCE,
    CheckpointInfo,
    Converted,
    labels_for,
    whole_number,
)
from atrous.networks.convert.torchvision import rename
from atrous.networks.convert.torchvision_keys import Rules
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.segmenters.ynet import DIVISOR

DATA_BY_CLASSES: Final[Mapping[int, str]] = MappingProxyType({8: "breast_biopsy"})

# No size: the authors' patches were 384 x 384, but resizing another image would change its scale.
_PREPROCESSING = Preprocessing(channel_order="BGR", mean=(0.0,) * 3, std=(1.0,) * 3)

_SEGMENTER_BLOCKS = {
    "level2_0": "encoder.stage2.blocks.0",
    "level2_1": "encoder.stage2.blocks.1",
    "level3_1": "encoder.stage3.blocks.0",
    "level3_2": "encoder.stage3.blocks.1",
    "level4_1": "encoder.stage3.blocks.2",
    "level4_2": "encoder.stage3.blocks.3",
    "level4_3": "encoder.stage3.blocks.4",
}
_BRANCH_BLOCKS = {
    f"level{level}_{block + 1}": f"branch.stage{level}.blocks.{block}"
    for level in (4, 5)
    for block in (0, 1)
}

_SEGMENTER: Final[Rules] = (
    *part_rules("level1", "encoder.stem", UNIT),
    *part_rules(r"level2\.conv", "encoder.stage2.down", UNIT),
    *part_rules("br_2", "encoder.stage2.join", UNIT),
    *part_rules(r"level3_0\.conv", "encoder.stage3.down", UNIT),
    *part_rules("br_4", "encoder.stage3.join", UNIT),
    *(
        rule
        for branch in range(4)
        for theirs, pool in (("p{}", "pool3"), ("p{}0", "pool2"), ("p0{}", "pool1"))
        for rule in part_rules(
            theirs.format(branch + 1) + r"\.features",
            f"{pool}.branches.{branch}",
            (("1", "conv"), ("2", "norm")),
        )
    ),
    *part_rules("classifier", "merge3.0", (("0", "conv"), ("1", "norm"))),
    *part_rules("classifier", "merge3.1", (("3", "conv"), ("4", "norm"))),
    *part_rules("classifier", "merge3.2", (("6", "conv"), ("7", "norm"))),
    *part_rules("class_1", "merge2.0", (("0", "conv"), ("1", "norm"))),
    *part_rules("class_1", "merge2.1", (("3", "conv"), ("4", "norm"))),
    *part_rules("class_0", "merge1", (("0", "conv"), ("1", "norm"))),
    *layer_rules(r"class_0\.3", "head"),
)
_BRANCH: Final[Rules] = (
    *part_rules(r"level([45])_0\.conv", r"branch.stage\1.down", UNIT),
    *part_rules(r"br_con_([45])", r"branch.stage\1.join", UNIT),
    *layer_rules("fc1", "branch.reduce"),
    *layer_rules("fc2", "branch.linear"),
)


def _block_rules(theirs: str, ours: str, block: Argument) -> Rules:
    if block == "residual":
        return [
            *part_rules(rf"{theirs}\.c1", f"{ours}.conv1", UNIT),
            *part_rules(rf"{theirs}\.c2", f"{ours}.conv2", UNIT),
        ]
    return [
        *layer_rules(rf"{theirs}\.c1\.conv", f"{ours}.reduce"),
        *(
            rule
            for index, dilation in enumerate((1, 2, 4, 8))
            for rule in layer_rules(
                rf"{theirs}\.d{dilation}\.conv", f"{ours}.pyramid.branches.{index}"
            )
        ),
        *layer_rules(rf"{theirs}\.bn", f"{ours}.norm"),
    ]


def is_ynet(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an authors' Y-Net, of the whole or the segmenter alone."""
    segmenter = {"level2_0.c1.conv.weight", "p40.features.1.weight", "class_0.3.weight"}
    return any(
        {prefix + key for key in segmenter} <= {_plain(key) for key in state}
        for prefix in ("", "segNet.")
    )


def convert_ynet(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of an authors' Y-Net.

    Whether it is whole, which blocks it has, classes, labels and channels are read from names and
    shapes. The dilated convolution in each block of the later code that nothing uses is left out.
    The authors' segmenter of residual blocks, if it stands alone, joins its last maps the other way
    round than inside their whole network, which then gets the wrong channels from it; its weights
    are turned, so that here one segmenter fits both.

    Raises:
        DataError: If tensors are missing or unknown.
    """
    plain = {_plain(key): tensor for key, tensor in state.items()}
    is_whole = any(key.startswith("segNet.") for key in plain)
    name, prefix = ("ynet", "segNet.") if is_whole else ("ynet_seg", "")
    first, head = f"{prefix}level1.conv.weight", f"{prefix}class_0.3.weight"
    needed = [first, head, *(["fc2.weight"] if is_whole else [])]
    if missing := [key for key in needed if key not in plain]:
        raise DataError(f"The checkpoint looks like a {name} but lacks {missing}; fetch it again.")

    block = "residual" if f"{prefix}level2_0.c2.conv.weight" in plain else "esp"
    arguments: dict[str, Argument] = {
        "num_classes": plain[head].shape[0],
        "in_channels": plain[first].shape[1],
        "block": block,
        "align_corners": True,  # how the framework that they were trained with resized
    }
    if is_whole:
        arguments["num_labels"] = plain["fc2.weight"].shape[0]
    elif block == "residual":
        plain = _stem_first(plain, plain[head].shape[0])
    used = {key: tensor for key, tensor in plain.items() if ".d16." not in key}
    return name, arguments, rename(used, _rules(block, is_whole=is_whole), network=name)


def _rules(block: str, *, is_whole: bool) -> Rules:
    segmenter = [*_SEGMENTER]
    for theirs, ours in _SEGMENTER_BLOCKS.items():
        segmenter += _block_rules(theirs, ours, block)
    if not is_whole:
        return segmenter
    branch = [*_BRANCH]
    for theirs, ours in _BRANCH_BLOCKS.items():
        branch += _block_rules(theirs, ours, block)
    return [*((rf"segNet\.{theirs}", f"segmenter.{ours}") for theirs, ours in segmenter), *branch]


def _stem_first(state: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """The same function of a map that holds the stem's channels before the decoder's."""
    stem = state["level1.conv.weight"].shape[0]
    turned = dict(state)
    for key in ("class_0.0.weight", *(f"p0{branch}.features.1.weight" for branch in range(1, 5))):
        if key in state:
            decoders, stems, rest = state[key].tensor_split(
                (num_classes, num_classes + stem), dim=1
            )
            turned[key] = torch.cat([stems, decoders, rest], dim=1)
    return turned


def _plain(key: str) -> str:
    return key.removeprefix("module.")


def ynet_card(name: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """The card of a Y-Net: tissues of breast biopsies."""
    num_classes = whole_number(arguments, "num_classes")
    data = origin.training_data(name, num_classes, by_classes=DATA_BY_CLASSES)
    labels = labels_for(data, num_classes)
    return Card(
        name=f"{name}.{data}_{arguments['block']}_authors",
        network=name,
        arguments=arguments,
        task=network_entry(name).task,
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=replace(_PREPROCESSING, size=origin.size),
        divisor=DIVISOR,
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., Y-Net, MICCAI 2018)",
        licence=AUTHORS_LICENCE,
    )
