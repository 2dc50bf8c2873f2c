"""The authors' ESPNet checkpoints (2018): which network they are, and their tensors by our names.

Source: key names and constants of the published files; SPEC in the tests' reference material.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.card import Card, Score
from atrous.networks.catalog import Argument
from atrous.networks.convert.origin import (
    AUTHORS_LICENCE,
    CheckpointInfo,
    Converted,
    labels_for,
    whole_number,
)
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.segmenters.espnet import DIVISOR

DATA_BY_CLASSES: Final[Mapping[int, str]] = MappingProxyType({12: "camvid", 20: "cityscapes"})

CITYSCAPES_OF_2018 = Preprocessing(
    channel_order="BGR",
    value_range=255.0,
    mean=(72.3923111, 82.90893555, 73.15840149),
    std=(45.3192215, 46.15289307, 44.91483307),
    final_scale=1 / 255,
    size=(512, 1024),
)
"""Also what the first ESPNetv2 for segmentation was fed."""

_PREPROCESSING: Final[Mapping[str, Preprocessing]] = MappingProxyType(
    {
        # Statistics of the 367 training images; the authors divide by 255 after normalising.
        "camvid": Preprocessing(
            channel_order="BGR",
            value_range=255.0,
            mean=(110.331055, 108.40889, 105.03322),
            std=(72.12569, 72.690765, 69.90434),
            final_scale=1 / 255,
        ),
        "cityscapes": CITYSCAPES_OF_2018,
    }
)

# Of the largest published networks, which are the ones that the authors report.
_PUBLISHED: Final[Mapping[tuple[str, str, int], tuple[Score, ...]]] = MappingProxyType(
    {
        ("espnet", "camvid", 8): tuple(
            Score(
                dataset="camvid",
                split="test",
                protocol="camvid_published",
                metric=metric,
                value=value,
                source="ESPNet, authors' repository",
            )
            for metric, value in (("miou", 55.64), ("class_average_accuracy", 68.30))
        ),
        ("espnet", "cityscapes", 8): (
            Score(
                dataset="cityscapes",
                split="test",
                protocol="cityscapes",
                metric="miou",
                value=60.336,
                source="ESPNet, authors' repository",
            ),
        ),
    }
)

_ENCODER = (
    (r"level1\.conv\.", "encoder.stem.conv."),
    (r"level1\.bn\.", "encoder.stem.norm."),
    (r"level1\.act\.", "encoder.stem.act."),
    (r"b(\d)\.bn\.", r"encoder.join\1.norm."),
    (r"b(\d)\.act\.", r"encoder.join\1.act."),
    (r"level([23])_0\.", r"encoder.down\1."),
    (r"level([23])\.(\d+)\.", r"encoder.stage\1.\2."),
)
_DECODER = (
    (r"encoder\.classifier\.conv\.", "reduce3."),
    (r"br\.", "norm3."),
    (r"up_l3\.0\.", "up3."),
    (r"level3_C\.conv\.", "reduce2."),
    (r"combine_l2_l3\.0\.bn\.", "join2.norm."),
    (r"combine_l2_l3\.0\.act\.", "join2.act."),
    (r"combine_l2_l3\.1\.", "merge2."),
    (r"up_l2\.0\.", "up2."),
    (r"up_l2\.1\.bn\.", "act2.norm."),
    (r"up_l2\.1\.act\.", "act2.act."),
    (r"conv\.conv\.", "merge1.conv."),
    (r"conv\.bn\.", "merge1.norm."),
    (r"conv\.act\.", "merge1.act."),
    (r"classifier\.", "up1."),
)
_INSIDE_A_BLOCK = (
    (r"\.c1\.conv\.", ".reduce."),
    (r"\.d1\.conv\.", ".pyramid.branches.0."),
    (r"\.d2\.conv\.", ".pyramid.branches.1."),
    (r"\.d4\.conv\.", ".pyramid.branches.2."),
    (r"\.d8\.conv\.", ".pyramid.branches.3."),
    (r"\.d16\.conv\.", ".pyramid.branches.4."),
    (r"\.bn\.bn\.", ".norm."),
    (r"\.bn\.act\.", ".act."),
    (r"\.bn\.", ".norm."),
)


def is_espnet(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an ESPNet, with or without its decoder."""
    # Y-Net has the first of these too, but no learned slopes.
    return any(
        {f"{prefix}level2_0.c1.conv.weight", f"{prefix}level2_0.act.weight"} <= state.keys()
        for prefix in ("", "encoder.")
    )


def convert_espnet(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of an authors' ESPNet file.

    p, q, the number of classes and channels, and which of the two published decoders it is, are
    read from the tensors' names and shapes.

    Raises:
        DataError: If tensors are missing that every ESPNet has.
    """
    has_decoder = "encoder.level1.conv.weight" in state
    prefix = "encoder." if has_decoder else ""
    head = "encoder.classifier.conv.weight" if has_decoder else "classifier.conv.weight"
    needed = [head, f"{prefix}level1.conv.weight", *(["conv.conv.weight"] if has_decoder else [])]
    if missing := [key for key in needed if key not in state]:
        raise DataError(f"The checkpoint looks like an ESPNet but lacks {missing}; fetch it again.")

    num_classes = state[head].shape[0]
    arguments: dict[str, Argument] = {
        "num_classes": num_classes,
        "in_channels": state[f"{prefix}level1.conv.weight"].shape[1],
        "p": _num_blocks(state, f"{prefix}level2"),
        "q": _num_blocks(state, f"{prefix}level3"),
    }
    if has_decoder:
        finest = state["conv.conv.weight"].shape[1] - num_classes
        arguments["joins_image_in_skip"] = finest != 16
    renamed = {_rename(key, has_decoder): tensor for key, tensor in state.items()}
    for key in [key for key in renamed if key.endswith("running_var")]:
        # torch 0.3 counted no batches; today's batch normalisation wants the counter to be there.
        counter = key.removesuffix("running_var") + "num_batches_tracked"
        renamed.setdefault(counter, state[head].new_zeros(()).long())
    return ("espnet" if has_decoder else "espnet_c"), arguments, renamed


def _num_blocks(state: Mapping[str, Tensor], stage: str) -> int:
    pattern = re.compile(rf"{re.escape(stage)}\.(\d+)\.")
    indices = [int(match[1]) for key in state if (match := pattern.match(key))]
    return max(indices, default=-1) + 1


def _rename(key: str, has_decoder: bool) -> str:
    encoder_rules = [
        (("encoder\\." if has_decoder else "") + pattern, new) for pattern, new in _ENCODER
    ]
    outer = [*_DECODER, *encoder_rules] if has_decoder else encoder_rules
    if not has_decoder:
        outer = [(r"classifier\.conv\.", "head."), *outer]
    for pattern, new in outer:
        renamed, count = re.subn(rf"^{pattern}", new, key)
        if count:
            break
    else:
        raise DataError(
            f"The checkpoint has a tensor {key!r} that no ESPNet has; is it another net?"
        )
    for pattern, new in _INSIDE_A_BLOCK:
        renamed, count = re.subn(pattern, new, renamed)
        if count:
            break
    return renamed


def espnet_card(name: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """The card of an ESPNet or ESPNet-C."""
    num_classes = whole_number(arguments, "num_classes")
    data = origin.training_data(name, num_classes, by_classes=DATA_BY_CLASSES)
    labels = labels_for(data, num_classes)
    preprocessing = _PREPROCESSING[data]
    if origin.size is not None:
        preprocessing = replace(preprocessing, size=origin.size)
    return Card(
        name=f"{name}.{data}_authors",
        network=name,
        arguments=arguments,
        task="segmentation",
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=preprocessing,
        divisor=DIVISOR,
        scores=_scores(name, data, arguments) if preprocessing == _PREPROCESSING[data] else (),
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., ESPNet, ECCV 2018)",
        licence=AUTHORS_LICENCE,
    )


def _scores(name: str, data: str, arguments: Mapping[str, Argument]) -> tuple[Score, ...]:
    return _PUBLISHED.get((name, data, whole_number(arguments, "q")), ())
