"""Names of tensors in torchvision's classifiers, and what they are called here.

Each table holds patterns of a whole name with what to write for it; the first that matches is used.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from atrous.networks.classifiers.vgg import DEPTHS

Rules: TypeAlias = Sequence[tuple[str, str]]

_REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"


def vgg_rules(depth: str, *, has_norm: bool) -> Rules:
    """Rules for VGG, whose layers of all blocks, pools included, torchvision numbers in one row."""
    rules = []
    number = 0
    for block, num_convs in enumerate(DEPTHS[depth]):
        for conv in range(num_convs):
            ours = f"encoder.stages.{block}.block.{conv}"
            rules.append((rf"features\.{number}{_REST}", rf"{ours}.conv.\1"))
            if has_norm:
                rules.append((rf"features\.{number + 1}{_REST}", rf"{ours}.norm.\1"))
            number += 3 if has_norm else 2
        number += 1  # the pool
    for theirs, linear in ((0, "linear1"), (3, "linear2"), (6, "linear")):
        rules.append((rf"classifier\.{theirs}{_REST}", rf"head.{linear}.\1"))
    return rules


_BASIC_PARTS = (("1", "conv1"), ("2", "conv2"))
_BOTTLENECK_PARTS = (("1", "reduce"), ("2", "conv"), ("3", "expand"))


def resnet_rules(*, has_bottleneck: bool) -> Rules:
    """Rules for ResNet, whose stages are called layer1 to layer4 and whose shortcuts downsample."""
    block, ours = r"layer(\d)\.(\d+)\.", r"encoder.stages.\1.block\2."
    parts = _BOTTLENECK_PARTS if has_bottleneck else _BASIC_PARTS
    return [
        (rf"conv1{_REST}", r"encoder.stages.0.conv.\1"),
        (rf"bn1{_REST}", r"encoder.stages.0.norm.\1"),
        (rf"{block}downsample\.0{_REST}", rf"{ours}shortcut.conv.\3"),
        (rf"{block}downsample\.1{_REST}", rf"{ours}shortcut.norm.\3"),
        *((rf"{block}conv{number}{_REST}", rf"{ours}{part}.conv.\3") for number, part in parts),
        *((rf"{block}bn{number}{_REST}", rf"{ours}{part}.norm.\3") for number, part in parts),
        (rf"fc{_REST}", r"head.linear.\1"),
    ]


def _units(rules: Rules) -> Iterator[tuple[str, str]]:
    """Rules for whole units: torchvision's `conv` and `bn` are `conv` and `norm` here."""
    for theirs, ours in rules:
        group = re.compile(theirs).groups + 1
        yield rf"{theirs}\.conv{_REST}", rf"{ours}.conv.\{group}"
        yield rf"{theirs}\.bn{_REST}", rf"{ours}.norm.\{group}"


_GOOGLENET_BRANCHES = (
    (r"branch1", "point"),
    (r"branch2\.([01])", r"branch3.\2"),
    (r"branch3\.([01])", r"branch5.\2"),
    (r"branch4\.1", "pool.1"),
)
GOOGLENET: Final[Rules] = (
    *_units(
        [
            (r"conv1", "encoder.stages.0.conv1"),
            (r"conv([23])", r"encoder.stages.1.conv\1"),
            *(
                (rf"inception({number}[a-e])\.{theirs}", rf"encoder.stages.{number - 1}.\1.{ours}")
                for number in (3, 4, 5)
                for theirs, ours in _GOOGLENET_BRANCHES
            ),
            (r"aux1\.conv", "auxiliary.4a.conv"),
            (r"aux2\.conv", "auxiliary.4d.conv"),
        ]
    ),
    (rf"aux1\.fc1{_REST}", r"auxiliary.4a.linear1.\1"),
    (rf"aux1\.fc2{_REST}", r"auxiliary.4a.linear.\1"),
    (rf"aux2\.fc1{_REST}", r"auxiliary.4d.linear1.\1"),
    (rf"aux2\.fc2{_REST}", r"auxiliary.4d.linear.\1"),
    (rf"fc{_REST}", r"head.linear.\1"),
)

_A = (
    ("branch1x1", "0"),
    ("branch5x5_1", "1.0"),
    ("branch5x5_2", "1.1"),
    ("branch3x3dbl_1", "2.0"),
    ("branch3x3dbl_2", "2.1"),
    ("branch3x3dbl_3", "2.2"),
    ("branch_pool", "3.1"),
)
_B = (
    ("branch3x3", "0"),
    ("branch3x3dbl_1", "1.0"),
    ("branch3x3dbl_2", "1.1"),
    ("branch3x3dbl_3", "1.2"),
)
_C = (
    ("branch1x1", "0"),
    *((f"branch7x7_{number + 1}", f"1.{number}") for number in range(3)),
    *((f"branch7x7dbl_{number + 1}", f"2.{number}") for number in range(5)),
    ("branch_pool", "3.1"),
)
_D = (
    ("branch3x3_1", "0.0"),
    ("branch3x3_2", "0.1"),
    *((f"branch7x7x3_{number + 1}", f"1.{number}") for number in range(4)),
)
_E = (
    ("branch1x1", "0"),
    ("branch3x3_1", "1.0"),
    ("branch3x3_2a", "1.1.branches.0"),
    ("branch3x3_2b", "1.1.branches.1"),
    ("branch3x3dbl_1", "2.0"),
    ("branch3x3dbl_2", "2.1"),
    ("branch3x3dbl_3a", "2.2.branches.0"),
    ("branch3x3dbl_3b", "2.2.branches.1"),
    ("branch_pool", "3.1"),
)
_MODULES = (("5[bcd]", 2, _A), ("6a", 3, _B), ("6[b-e]", 3, _C), ("7a", 4, _D), ("7[bc]", 4, _E))
INCEPTION_V3: Final[Rules] = (
    *_units(
        [
            ("Conv2d_1a_3x3", "encoder.stages.0.conv1"),
            ("Conv2d_2a_3x3", "encoder.stages.0.conv2"),
            ("Conv2d_2b_3x3", "encoder.stages.0.conv3"),
            ("Conv2d_3b_1x1", "encoder.stages.1.conv4"),
            ("Conv2d_4a_3x3", "encoder.stages.1.conv5"),
            *(
                (rf"Mixed_({names})\.{theirs}", rf"encoder.stages.{stage}.\1.branches.{ours}")
                for names, stage, branches in _MODULES
                for theirs, ours in branches
            ),
            (r"AuxLogits\.conv0", "auxiliary.6e.conv1"),
            (r"AuxLogits\.conv1", "auxiliary.6e.conv2"),
        ]
    ),
    (rf"AuxLogits\.fc{_REST}", r"auxiliary.6e.linear.\1"),
    (rf"fc{_REST}", r"head.linear.\1"),
)

_SHUFFLE_BLOCK, _OUR_BLOCK = r"stage([234])\.(\d+)\.", r"encoder.stages.\1.\2."
_SHUFFLE_LAYERS = (
    ("branch1.0", "shortcut.depthwise.conv"),
    ("branch1.1", "shortcut.depthwise.norm"),
    ("branch1.2", "shortcut.pointwise.conv"),
    ("branch1.3", "shortcut.pointwise.norm"),
    ("branch2.0", "transform.0.conv"),
    ("branch2.1", "transform.0.norm"),
    ("branch2.3", "transform.1.conv"),
    ("branch2.4", "transform.1.norm"),
    ("branch2.5", "transform.2.conv"),
    ("branch2.6", "transform.2.norm"),
)
SHUFFLENET_V2: Final[Rules] = (
    (rf"conv1\.0{_REST}", r"encoder.stages.0.conv.\1"),
    (rf"conv1\.1{_REST}", r"encoder.stages.0.norm.\1"),
    *(
        (rf"{_SHUFFLE_BLOCK}{re.escape(theirs)}{_REST}", rf"{_OUR_BLOCK}{ours}.\3")
        for theirs, ours in _SHUFFLE_LAYERS
    ),
    (rf"conv5\.0{_REST}", r"head.before.conv.\1"),
    (rf"conv5\.1{_REST}", r"head.before.norm.\1"),
    (rf"fc{_REST}", r"head.linear.\1"),
)
