"""How the authors of the ESPNets name the parts of small modules, and what they are called here."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from atrous.networks.convert.torchvision_keys import Rules

Parts: TypeAlias = Sequence[tuple[str, str]]

_REST = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"

UNIT: Final[Parts] = (("conv", "conv"), ("bn", "norm"), ("act", "act"))
"""Convolution, normalisation, activation in most of their code."""

NUMBERED_UNIT: Final[Parts] = ((r"cbr\.0", "conv"), (r"cbr\.1", "norm"), (r"cbr\.2", "act"))
"""The same in their later decoders."""

NUMBERED_NORM: Final[Parts] = ((r"br\.0", "norm"), (r"br\.1", "act"))


def part_rules(theirs: str, ours: str, parts: Parts) -> Rules:
    r"""Rules for the tensors of a module, part by part.

    Args:
        theirs: Pattern of the module's name, which may have groups.
        ours: What it is called here; `\1` and so on stand for those groups.
        parts: Pairs of a part's pattern, without groups, and its name here.

    Example:
        >>> rules = part_rules(r"level(\d)", r"stage\1", [("bn", "norm")])
        >>> pattern, ours = rules[0]
        >>> re.sub(pattern, ours, "level2.bn.weight")
        'stage2.norm.weight'
    """
    rest = re.compile(theirs).groups + 1
    return [(rf"{theirs}\.{part}{_REST}", rf"{ours}.{new}.\{rest}") for part, new in parts]


def layer_rules(theirs: str, ours: str) -> Rules:
    """Rules for the tensors of one layer, whose name is followed by theirs at once."""
    rest = re.compile(theirs).groups + 1
    return [(rf"{theirs}{_REST}", rf"{ours}.\{rest}")]
