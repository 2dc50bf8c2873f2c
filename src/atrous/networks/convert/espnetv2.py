"""The authors' ESPNetv2 classifiers: which they are, and their tensors by our names.

Source: key names of the authors' two repositories; what is never used, from their code.
"""

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.catalog import Argument
from atrous.networks.classifiers.espnetv2 import WIDTHS
from atrous.networks.convert.torchvision import rename
from atrous.networks.convert.torchvision_keys import Rules

_REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"

UNUSED = re.compile(r"level\d_0\.eesp\.module_act\..*|level5_0\.inp_reinf\..*")
"""Tensors that the authors' code builds and saves but no input ever meets."""

_PARTS: Final[Rules] = (
    (r"proj_1x1", "reduce"),
    (r"conv_1x1_exp", "merge"),
    (r"br_after_cat", "join"),
)


def is_espnetv2_classifier(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an authors' ESPNetv2 for ImageNet."""
    keys = {_plain(key) for key in state}
    return {"level5_0.eesp.proj_1x1.conv.weight", "classifier.weight"} <= keys


def convert_espnetv2_classifier(
    state: Mapping[str, Tensor],
) -> tuple[str, dict[str, Argument], dict[str, Tensor]]:
    """Network name, factory arguments and tensors of an authors' ESPNetv2 classifier.

    The `module.` before every name in the files of 2018 is taken off, and the tensors that their
    code never uses are left out.

    Raises:
        DataError: If it is no such classifier, or of a width that the catalog does not have.
    """
    plain = {_plain(key): tensor for key, tensor in state.items()}
    needed = ("level1.conv.weight", "level2_0.act.weight", "classifier.weight")
    if missing := [key for key in needed if key not in plain]:
        raise DataError(
            f"Found {len(state)} tensors but not {missing}; expected an ESPNetv2 classifier."
        )
    level1, level2 = plain["level1.conv.weight"], plain["level2_0.act.weight"]
    found = (level1.shape[0], level2.shape[0])
    width = next((width for width, channels in WIDTHS.items() if channels[:2] == found), None)
    if width is None:
        known = ", ".join(str(channels[:2]) for channels in WIDTHS.values())
        raise DataError(
            f"Found an ESPNetv2 of {found[0]} and {found[1]} channels in its first levels; "
            f"expected one of {known}."
        )
    name = f"espnetv2_{width}"
    arguments: dict[str, Argument] = {
        "num_classes": plain["classifier.weight"].shape[0],
        "in_channels": level1.shape[1],
    }
    used = {key: tensor for key, tensor in plain.items() if not UNUSED.fullmatch(key)}
    return name, arguments, rename(used, ESPNETV2_CLASSIFIER, network=name)


def _plain(key: str) -> str:
    return key.removeprefix("module.")


def _block_rules(theirs: str, ours: str) -> Rules:
    """Rules for the inside of an EESP, given the names of the blocks, with two groups at most."""
    n = re.compile(theirs).groups
    return [
        *(
            (rf"{theirs}\.{part}\.{layer}{_REST}", rf"{ours}.{new}.{unit}.\{n + 1}")
            for part, new in _PARTS
            for layer, unit in (("conv", "conv"), ("bn", "norm"), ("act", "act"))
        ),
        (rf"{theirs}\.spp_dw\.(\d)\.conv{_REST}", rf"{ours}.branches.\{n + 1}.\{n + 2}"),
    ]


def _unit_rules(theirs: str, ours: str) -> Rules:
    n = re.compile(theirs).groups
    return [
        (rf"{theirs}\.{layer}{_REST}", rf"{ours}.{unit}.\{n + 1}")
        for layer, unit in (("conv", "conv"), ("bn", "norm"), ("act", "act"))
    ]


def _level_rules(number: int) -> Rules:
    down, blocks = f"encoder.levels.{number - 2}.down", f"encoder.levels.{number - 2}.blocks"
    return [
        *_block_rules(rf"level{number}_0\.eesp", f"{down}.transform"),
        *_unit_rules(rf"level{number}_0\.inp_reinf\.([01])", rf"{down}.reinforce.\1"),
        (rf"level{number}_0\.act{_REST}", rf"{down}.act.\1"),
        *_block_rules(rf"level{number}\.(\d)", rf"{blocks}.\1.transform"),
        (rf"level{number}\.(\d)\.module_act{_REST}", rf"{blocks}.\1.act.\2"),
    ]


ESPNETV2_ENCODER: Final[Rules] = (
    *_unit_rules(r"level1", "encoder.stem"),
    *(rule for number in (2, 3, 4, 5) for rule in _level_rules(number)),
)
"""Also the encoder of the authors' segmentation networks, which end at level 4."""

ESPNETV2_CLASSIFIER: Final[Rules] = (
    *_unit_rules(r"level5\.3", "head.before.0"),
    *_unit_rules(r"level5\.4", "head.before.1"),
    (rf"classifier{_REST}", r"head.linear.\1"),
    *ESPNETV2_ENCODER,
)
