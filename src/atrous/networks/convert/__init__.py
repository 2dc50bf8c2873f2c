"""A published checkpoint into a network with its card."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor

from atrous.errors import DataError, ShapeError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, build_network
from atrous.networks.convert.classifier_card import espnetv2_card, torchvision_card
from atrous.networks.convert.espnet import convert_espnet, espnet_card, is_espnet
from atrous.networks.convert.espnet3d import convert_espnet3d, espnet3d_card, is_espnet3d
from atrous.networks.convert.espnetv2 import (
    convert_espnetv2_classifier,
    is_espnetv2_classifier,
)
from atrous.networks.convert.espnetv2_seg import (
    convert_espnetv2_seg,
    convert_espnetv2_seg_2018,
    espnetv2_seg_2018_card,
    espnetv2_seg_card,
    is_espnetv2_seg,
    is_espnetv2_seg_2018,
)
from atrous.networks.convert.origin import CheckpointInfo, Converted
from atrous.networks.convert.read import read_checkpoint
from atrous.networks.convert.torchvision import convert_torchvision, is_torchvision
from atrous.networks.convert.ynet import convert_ynet, is_ynet, ynet_card
from atrous.networks.weights import Weights
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the checkpoints of one kind of network are recognised, converted and described."""

    matches: Callable[[Mapping[str, Tensor]], bool]
    """True for one family at most."""
    convert: Callable[[Mapping[str, Tensor]], Converted]
    card: Callable[[str, Mapping[str, Argument], CheckpointInfo], Card]
    """From network name, arguments and origin."""


FAMILIES: Final[Mapping[str, Family]] = {
    "ESPNet": Family(matches=is_espnet, convert=convert_espnet, card=espnet_card),
    "ESPNetv2 for segmentation": Family(
        matches=is_espnetv2_seg, convert=convert_espnetv2_seg, card=espnetv2_seg_card
    ),
    "ESPNetv2 for segmentation of 2018": Family(
        matches=is_espnetv2_seg_2018,
        convert=convert_espnetv2_seg_2018,
        card=espnetv2_seg_2018_card,
    ),
    "ESPNetv2 for classification": Family(
        matches=is_espnetv2_classifier, convert=convert_espnetv2_classifier, card=espnetv2_card
    ),
    "torchvision classifiers": Family(
        matches=is_torchvision, convert=convert_torchvision, card=torchvision_card
    ),
    "Y-Net": Family(matches=is_ynet, convert=convert_ynet, card=ynet_card),
    "3D-ESPNet": Family(matches=is_espnet3d, convert=convert_espnet3d, card=espnet3d_card),
}
"""What can be converted, by the name that messages use."""


def convert_checkpoint(path: Path, *, data: str | None = None, size: Size | None = None) -> Weights:
    """Read an authors' checkpoint and write its card from what the tensors show.

    Args:
        path: A `.pth` file of the authors of the ESPNets, see `FAMILIES`.
        data: What it was trained on, such as `camvid`, `cityscapes` or `voc`, which decides class
            names and preprocessing; None to tell by the number of classes.
        size: `(H, W)` that images are to be resized to; None for the size of training. That is told
            by the data or, for an ESPNetv2, by the file's name: `…_512x256.pth`, width first, as
            the authors write it.

    Raises:
        DataError: If the file is no checkpoint, of an unknown network, or of unknown data.
        ShapeError: If the size is not possible.
        UnknownNameError: If `data` is not one of the names.
    """
    if size is not None and min(size, default=0) < 1:
        raise ShapeError(f"Got a size of {size}; expected lengths of at least 1.")
    state = read_checkpoint(path)
    family = next((family for family in FAMILIES.values() if family.matches(state)), None)
    if family is None:
        raise DataError(
            f"{path} holds {len(state)} tensors of a network that is not known, the first being "
            f"{next(iter(state))!r}; expected one of {', '.join(FAMILIES)}."
        )
    name, arguments, tensors = family.convert(state)
    card = family.card(name, arguments, CheckpointInfo(path=path, data=data, size=size))
    network = build_network(name, arguments)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(f"{path} does not fit {name} {arguments}: {detail}") from error
    return Weights(network=network.eval(), card=card)
