"""The authors' 3D-ESPNet checkpoints.

Source: key names and shapes from the authors' code.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument
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
from atrous.networks.segmenters.espnet3d import DIVISOR

DATA_BY_CLASSES: Final[Mapping[int, str]] = MappingProxyType({4: "brats"})

_BLOCKS = {
    r"level1\.([01])": r"encoder.stage1.\1",
    "level2": "encoder.stage2.0",
    **{rf"level_2\.{index}": f"encoder.stage2.{index + 1}" for index in range(2)},
    "level3_0": "encoder.stage3.0",
    **{rf"level_3\.{index}": f"encoder.stage3.{index + 1}" for index in range(3)},
    **{f"merge_l{level}": f"merge{level}.0" for level in (2, 1)},
    **{
        rf"dec_l{level}\.{index}": f"merge{level}.{index + 1}"
        for level in (2, 1)
        for index in range(2)
    },
}
_UNITS = {
    "level0": "encoder.stem",
    r"up_l3_l2\.up": "up3",
    r"up_l2_l1\.up": "up2",
    r"dec_l1\.2": "reduce.0",
    r"pspModules\.(\d)\.features": r"pool.branches.\1",
    r"classifier\.0": "refine.0",
    r"classifier\.3": "refine.3",
}
_KERNEL_PYRAMIDS = {r"dec_l1\.3": "reduce.1", r"classifier\.1": "refine.1"}


def _branch_rules(theirs: str, ours: str) -> Rules:
    """Rules for four branches, which the authors number 1, 2, 4, 8 whatever they are."""
    return [
        rule
        for index, number in enumerate((1, 2, 4, 8))
        for rule in part_rules(rf"{theirs}\.d{number}", f"{ours}.branches.{index}", UNIT)
    ]


def _block_rules(theirs: str, ours: str) -> Rules:
    branches = [
        rule
        for index, number in enumerate((1, 2, 4, 8))
        for rule in layer_rules(rf"{theirs}\.d{number}\.conv", f"{ours}.branches.{index}")
    ]
    return [
        *part_rules(rf"{theirs}\.c1", f"{ours}.reduce", UNIT),
        *branches,
        *layer_rules(rf"{theirs}\.bn", f"{ours}.norm"),
    ]


_RULES: Final[Rules] = (
    *(rule for item in _UNITS.items() for rule in part_rules(*item, UNIT)),
    *(rule for item in _KERNEL_PYRAMIDS.items() for rule in _branch_rules(*item)),
    *(rule for item in _BLOCKS.items() for rule in _block_rules(*item)),
    *layer_rules(r"classifier\.4\.conv", "refine.4"),
)


def is_espnet3d(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an authors' 3D-ESPNet."""
    return {"level0.conv.weight", "pspModules.0.features.conv.weight"} <= {
        _plain(key) for key in state
    }


def convert_espnet3d(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of an authors' 3D-ESPNet.

    Raises:
        DataError: If tensors are missing or unknown.
    """
    name, first, last = "espnet3d", "level0.conv.weight", "classifier.4.conv.weight"
    plain = {_plain(key): tensor for key, tensor in state.items()}
    if missing := [key for key in (first, last) if key not in plain]:
        raise DataError(f"The checkpoint looks like an {name} but lacks {missing}; fetch it again.")
    arguments: dict[str, Argument] = {
        "num_classes": plain[last].shape[0],
        "in_channels": plain[first].shape[1],
        "align_corners": True,  # how the framework that they were trained with resized
    }
    return name, arguments, rename(plain, _RULES, network=name)


def _plain(key: str) -> str:
    return key.removeprefix("module.")


def espnet3d_card(name: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """The card of a 3D-ESPNet: parts of brain tumours, from four modalities in [0, 1].

    Their order is FLAIR, T1, contrast-enhanced T1, T2. The authors cut them to the box outside
    which all are zero, and bring each to [0, 1] by its least and greatest value in there: both are
    left to the reader of volumes, which knows that box.
    """
    num_classes = whole_number(arguments, "num_classes")
    channels = whole_number(arguments, "in_channels")
    data = origin.training_data(name, num_classes, by_classes=DATA_BY_CLASSES)
    labels = labels_for(data, num_classes)
    unchanged = Preprocessing(mean=(0.0,) * channels, std=(1.0,) * channels)
    return Card(
        name=f"{name}.{data}_authors",
        network=name,
        arguments=arguments,
        task="segmentation",
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=replace(unchanged, size=origin.size),
        divisor=DIVISOR,
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., 3D-ESPNet, 2018)",
        licence=AUTHORS_LICENCE,
    )
