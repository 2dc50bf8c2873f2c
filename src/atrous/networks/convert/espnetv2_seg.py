"""The authors' ESPNetv2 checkpoints for segmentation, of both forms.

Source: key names and shapes of the published files; what is never used, from the authors' code.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.card import Card, Score
from atrous.networks.catalog import Argument
from atrous.networks.classifiers.espnetv2 import WIDTHS
from atrous.networks.convert.authors_keys import (
    NUMBERED_NORM,
    NUMBERED_UNIT,
    UNIT,
    layer_rules,
    part_rules,
)
from atrous.networks.convert.espnet import CITYSCAPES_OF_2018
from atrous.networks.convert.espnetv2 import ESPNETV2_ENCODER, UNUSED
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
from atrous.networks.segmenters.espnetv2 import DIVISOR
from atrous.types import Size

DATA_BY_CLASSES: Final[Mapping[int, str]] = MappingProxyType({21: "voc", 20: "cityscapes"})

# Nothing in the tensors tells the size of training. Where the file's name does not either, it is
# the larger of the two that the authors published for the data.
_DEFAULT_SIZES: Final[Mapping[str, Size]] = MappingProxyType(
    {"voc": (384, 384), "cityscapes": (512, 1024)}
)

_PREPROCESSING = Preprocessing(
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    interpolation="bilinear_antialias",  # Pillow's
    steps=("resize", "normalise", "scale"),
)

# Mean IoU on the validation sets, in the authors' repository. For the width 2.0 on Cityscapes at
# 256 x 512 they print none.
_MEAN_IOU: Final[Mapping[tuple[str, Size], Mapping[str, float]]] = MappingProxyType(
    {
        ("voc", (256, 256)): {"0_5": 39.82, "1_0": 54.14, "1_5": 59.39, "2_0": 63.36},
        ("voc", (384, 384)): {"0_5": 47.18, "1_0": 60.22, "1_5": 63.67, "2_0": 67.01},
        ("cityscapes", (256, 512)): {"0_5": 47.3, "1_0": 52.2, "1_5": 54.6},
        ("cityscapes", (512, 1024)): {"0_5": 53.9, "1_0": 60.1, "1_5": 63.8, "2_0": 66.4},
    }
)

_PYRAMID: Final = (
    ("projection_layer", "reduce", NUMBERED_UNIT),
    (r"merge_layer\.0", "join", NUMBERED_NORM),
    (r"merge_layer\.2", "merge", NUMBERED_UNIT),
    ("br", "finish", NUMBERED_NORM),
)


def _pyramid_rules(theirs: str, ours: str) -> Rules:
    return [
        *(
            rule
            for part, new, parts in _PYRAMID
            for rule in part_rules(rf"{theirs}\.{part}", f"{ours}.{new}", parts)
        ),
        *layer_rules(rf"{theirs}\.stages\.(\d)", rf"{ours}.branches.\1"),
        *layer_rules(rf"{theirs}\.merge_layer\.3", f"{ours}.expand"),
    ]


def _level_rules(number: int) -> Rules:
    ours = f"levels.{number - 2}"
    skip = f"merge_enc_dec_l{number}"
    return [
        *_pyramid_rules(f"bu_dec_l{number}", f"{ours}.pyramid"),
        *part_rules(rf"{skip}\.expansion_layer", f"{ours}.skip.conv", NUMBERED_UNIT),
        *layer_rules(rf"{skip}\.wt_layer\.1", f"{ours}.skip.gate.1"),
        *part_rules(f"bu_br_l{number}", f"{ours}.join", (("0", "norm"), ("1", "act"))),
    ]


_RULES: Final[Rules] = (
    *_pyramid_rules("bu_dec_l1", "coarsest"),
    *(rule for number in (2, 3, 4) for rule in _level_rules(number)),
    *ESPNETV2_ENCODER,
)

_EESP: Final = (
    ("proj_1x1", "reduce"),
    ("br_after_cat", "join"),
    ("conv_1x1_exp", "merge"),
)

_RULES_OF_2018: Final[Rules] = (
    *part_rules("proj_L4_C", "reduce4", UNIT),
    *(
        rule
        for theirs, ours in _EESP
        for rule in part_rules(rf"pspMod\.0\.{theirs}", f"merge3.0.transform.{ours}", UNIT)
    ),
    *layer_rules(r"pspMod\.0\.spp_dw\.(\d)\.conv", r"merge3.0.transform.branches.\1"),
    *layer_rules(r"pspMod\.0\.module_act", "merge3.0.act"),
    *layer_rules(r"pspMod\.1\.stages\.(\d)\.conv", r"merge3.1.branches.\1"),
    *part_rules(r"pspMod\.1\.project", "merge3.1.merge", UNIT),
    *layer_rules(r"project_l3\.1\.conv", "head3"),
    *part_rules("act_l3", "join3", UNIT),
    *part_rules("project_l2", "merge2", UNIT),
    *layer_rules(r"project_l1\.1\.conv", "head1"),
    *ESPNETV2_ENCODER,
)


def is_espnetv2_seg(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an authors' ESPNetv2 for segmentation, in its last form."""
    return {"base_net.level2_0.eesp.proj_1x1.conv.weight", "bu_dec_l1.stages.0.weight"} <= {
        _plain(key) for key in state
    }


def is_espnetv2_seg_2018(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of an authors' ESPNetv2 for segmentation, in its first form."""
    return {"net.level2_0.eesp.proj_1x1.conv.weight", "pspMod.1.stages.0.conv.weight"} <= {
        _plain(key) for key in state
    }


def convert_espnetv2_seg(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of an authors' ESPNetv2 for segmentation.

    The width, the decoder's width, classes and channels are read from shapes; tensors that the
    authors' code never uses are left out.

    Raises:
        DataError: If tensors are missing or unknown, or the width is not in the catalog.
    """
    name = "espnetv2_seg"
    first, last = "bu_dec_l1.merge_layer.3.weight", "bu_dec_l4.merge_layer.3.weight"
    plain, arguments = _read(state, name=name, encoder="base_net.", last=last, needed=(first,))
    arguments["decoder_width"] = plain[first].shape[0] // 4
    return name, arguments, rename(plain, _RULES, network=name)


def convert_espnetv2_seg_2018(state: Mapping[str, Tensor]) -> Converted:
    """Network name, factory arguments and tensors of the authors' files of 2018.

    Raises:
        DataError: If tensors are missing or unknown, or the width is not in the catalog.
    """
    name = "espnetv2_seg_2018"
    plain, arguments = _read(state, name=name, encoder="net.", last="project_l1.1.conv.weight")
    return name, arguments, rename(plain, _RULES_OF_2018, network=name)


def _read(
    state: Mapping[str, Tensor],
    *,
    name: str,
    encoder: str,
    last: str,
    needed: tuple[str, ...] = (),
) -> tuple[dict[str, Tensor], dict[str, Argument]]:
    """The tensors in use, without prefixes, and the arguments that both forms have."""
    plain = {_plain(key).removeprefix(encoder): tensor for key, tensor in state.items()}
    needed = ("level1.conv.weight", "level2_0.act.weight", last, *needed)
    if missing := [key for key in needed if key not in plain]:
        raise DataError(f"The checkpoint looks like an {name} but lacks {missing}; fetch it again.")
    found = (plain["level1.conv.weight"].shape[0], plain["level2_0.act.weight"].shape[0])
    width = next((width for width, channels in WIDTHS.items() if channels[:2] == found), None)
    if width is None:
        known = ", ".join(str(channels[:2]) for channels in WIDTHS.values())
        raise DataError(
            f"Found an {name} of {found[0]} and {found[1]} channels in its first levels; "
            f"expected one of {known}."
        )
    arguments: dict[str, Argument] = {
        "num_classes": plain[last].shape[0],
        "in_channels": plain["level1.conv.weight"].shape[1],
        "width": width,
    }
    return {key: t for key, t in plain.items() if not UNUSED.fullmatch(key)}, arguments


def _plain(key: str) -> str:
    return key.removeprefix("module.")


def espnetv2_seg_card(name: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """The card of a network of the last form.

    The size of training is the one that the origin says, or that the file's name holds as the
    authors' do, or the larger of the two published for the data. On Cityscapes nobody taught these
    networks the class "background": unlabelled pixels had no part in their training.
    """
    num_classes = whole_number(arguments, "num_classes")
    data = origin.training_data(name, num_classes, by_classes=DATA_BY_CLASSES)
    size = origin.size or origin.size_in_name or _DEFAULT_SIZES[data]
    labels = labels_for(data, num_classes)
    width = str(arguments["width"])
    return Card(
        name=f"{name}.{data}_{width}_{size[1]}x{size[0]}_authors",
        network=name,
        arguments=arguments,
        task="segmentation",
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=replace(_PREPROCESSING, size=size),
        divisor=DIVISOR,
        scores=_scores(data, size, width, arguments),
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., ESPNetv2, CVPR 2019)",
        licence=AUTHORS_LICENCE,
    )


def _scores(
    data: str, size: Size, width: str, arguments: Mapping[str, Argument]
) -> tuple[Score, ...]:
    value = _MEAN_IOU.get((data, size), {}).get(width)
    is_published = DATA_BY_CLASSES.get(whole_number(arguments, "num_classes")) == data
    if value is None or not is_published or arguments["decoder_width"] != 16:
        return ()
    return (
        Score(
            dataset=data,
            split="val",
            protocol=data,
            metric="miou",
            value=value,
            source="ESPNetv2, authors' repository",
        ),
    )


def espnetv2_seg_2018_card(
    name: str, arguments: Mapping[str, Argument], origin: CheckpointInfo
) -> Card:
    """The card of a network of the first form, which was trained as ESPNet was."""
    num_classes = whole_number(arguments, "num_classes")
    data = origin.training_data(name, num_classes, by_classes={20: "cityscapes"})
    labels = labels_for(data, num_classes)
    preprocessing = CITYSCAPES_OF_2018
    if origin.size is not None:
        preprocessing = replace(preprocessing, size=origin.size)
    return Card(
        name=f"{name}.{data}_{arguments['width']}_authors",
        network=name,
        arguments=arguments,
        task="segmentation",
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=preprocessing,
        divisor=DIVISOR,
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., ESPNetv2, CVPR 2019)",
        licence=AUTHORS_LICENCE,
    )
