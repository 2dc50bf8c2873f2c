"""A published checkpoint into a network with its card."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from torch import Tensor

from atrous.errors import DataError, ShapeError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, build_network
from atrous.networks.convert.classifier_card import (
    espnetv2_card,
    published_card,
    segmenter_card,
    torchvision_card,
    usual_preprocessing,
)
from atrous.networks.convert.efficientnet_lite import (
    convert_efficientnet_lite,
    efficientnet_lite_card,
    efficientnet_lite_preprocessing,
    is_efficientnet_lite,
)
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
from atrous.networks.convert.own_card import Said, as_said, own_card
from atrous.networks.convert.published import AUTHORS, digest_of, named_weights
from atrous.networks.convert.read import read_checkpoint, unwrapped
from atrous.networks.convert.torchvision import convert_torchvision, is_torchvision
from atrous.networks.convert.torchvision_segmenters import (
    convert_torchvision_segmenter,
    is_torchvision_segmenter,
)
from atrous.networks.convert.ynet import convert_ynet, is_ynet, ynet_card
from atrous.networks.preprocessing.images import ChannelOrder, Preprocessing
from atrous.networks.weights import Weights
from atrous.types import Size

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the checkpoints of one kind of network are recognised, converted and described."""

    matches: Callable[[Mapping[str, Tensor]], bool]
    """True for one family at most."""
    convert: Callable[[Mapping[str, Tensor]], Converted]
    card: Callable[[str, Mapping[str, Argument], CheckpointInfo], Card]
    """Of published weights, from network name, arguments and origin."""
    usual: Callable[[str, Mapping[str, Argument]], Preprocessing] = usual_preprocessing
    """What such networks are usually fed, from network name and arguments."""


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
    "torchvision segmenters": Family(
        matches=is_torchvision_segmenter,
        convert=convert_torchvision_segmenter,
        card=segmenter_card,
    ),
    "EfficientNet-Lite": Family(
        matches=is_efficientnet_lite,
        convert=convert_efficientnet_lite,
        card=efficientnet_lite_card,
        usual=efficientnet_lite_preprocessing,
    ),
    "Y-Net": Family(matches=is_ynet, convert=convert_ynet, card=ynet_card),
    "3D-ESPNet": Family(matches=is_espnet3d, convert=convert_espnet3d, card=espnet3d_card),
}
"""What can be converted, by the name that messages use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Weights of a checkpoint, and what is known of where they are from.

    Attributes:
        weights: The network with its card.
        notes: What their owner should know or say, a sentence each.
    """

    weights: Weights
    notes: tuple[str, ...]


def convert_checkpoint(
    path: Path,
    *,
    data: str | None = None,
    size: Size | None = None,
    class_names: Sequence[str] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channel_order: ChannelOrder | None = None,
    value_range: float | None = None,
    key: str | None = None,
) -> Weights:
    """Read a checkpoint and write its card from what is known of its tensors.

    Published weights are told by their numbers, whatever the file is called; their card has the
    published classes, preprocessing and score. Everybody else's have numbers for names and
    ImageNet's preprocessing, unless their owner says otherwise.

    Args:
        path: A `.pth` file of a network that the catalog has, see `FAMILIES`.
        data: What it was trained on, such as `camvid`, `cityscapes`, `voc` or `imagenet`, where it
            is known: its classes and the authors' preprocessing; None to tell by the numbers.
        size: `(H, W)` that images are to be resized to; None for the size of training, where it is
            known, or their own.
        class_names: In the order of the logits.
        mean: Per channel, in the network's order.
        std: The same; given with `mean`.
        channel_order: Order of the channels that the network takes; None for RGB.
        value_range: Value of white in the units of `mean` and `std`; None for 1.
        key: Name that the state dict is kept under in the file; None for the first known one.

    Raises:
        DataError: If the file is no checkpoint, of an unknown network, or of unknown data.
        ShapeError: If the size is not possible.
        UnknownNameError: If `data` or `key` is not one of the names.
    """
    said = Said(
        class_names=tuple(class_names),
        mean=None if mean is None else tuple(mean),
        std=None if std is None else tuple(std),
        channel_order=channel_order,
        value_range=value_range,
    )
    found = convert(path, data=data, size=size, said=said, key=key)
    for note in found.notes:
        logger.warning("note: %s: %s", path, note)
    return found.weights


def convert(
    path: Path, *, data: str | None, size: Size | None, said: Said, key: str | None
) -> Conversion:
    """As `convert_checkpoint`, with what is to be said of it.

    Raises:
        DataError: As there.
        ShapeError: As there.
        UnknownNameError: As there.
    """
    if size is not None and min(size, default=0) < 1:
        raise ShapeError(f"Got a size of {size}; expected lengths of at least 1.")
    held = read_checkpoint(path, key=key)
    known = (
        (family, state)
        for state in unwrapped(held.state)
        for family in FAMILIES.values()
        if family.matches(state)
    )
    family, state = next(known, (None, held.state))
    if family is None:
        raise DataError(
            f"{path} holds {len(held.state)} tensors of a network that is not known, the first "
            f"being {next(iter(held.state))!r}; expected one of {', '.join(FAMILIES)}."
        )
    name, arguments, tensors = family.convert(state)
    card, notes = _card(family, name, arguments, tensors, path=path, data=data, size=size)
    if card.scores and not said.is_silent:
        notes = (*notes, "what is said of it is not what it was published with: no score is kept")
    elif not said.is_silent:
        notes = ()
    network = build_network(name, arguments)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(f"{path} does not fit {name} {arguments}: {detail}") from error
    divisor = getattr(network, "divisor", 1)
    card = replace(as_said(card, said), divisor=divisor if isinstance(divisor, int) else 1)
    if held.others:
        others = ", ".join(held.others)
        notes = (*notes, f"taken is {held.key}; beside it are {others}, which --key takes instead")
    return Conversion(weights=Weights(network=network.eval(), card=card), notes=notes)


_UNSAID: Final = (
    "these are not published weights: classes are numbered, and pixels are fed as {} are; say "
    "otherwise with --class-names, --mean, --std, --order, --range and --size, or name the data "
    "with --data"
)


def _card(
    family: Family,
    name: str,
    arguments: Mapping[str, Argument],
    tensors: Mapping[str, Tensor],
    *,
    path: Path,
    data: str | None,
    size: Size | None,
) -> tuple[Card, tuple[str, ...]]:
    """The card of what is published or named; else one that claims nothing."""
    origin = CheckpointInfo(path=path, data=data, size=size)
    stem = AUTHORS.get(digest_of(tensors))
    if stem is not None:
        called = path.with_name(f"{stem}.pth")
        return family.card(name, arguments, replace(origin, path=called)), ()
    named = named_weights(name, path)
    if named is not None:
        weights, has_bytes = named
        card = published_card(name, arguments, weights, size=size, has_bytes=has_bytes)
        is_known = has_bytes or data is not None
        return card, () if is_known else (_UNSAID.format("the weights of that file's name"),)
    if data is not None:
        card = family.card(name, arguments, origin)
        source = f"the checkpoint {path.name}, which its owner says was trained on {data}"
        own = replace(card, name=f"{name}.{path.stem}", scores=(), source=source, licence="")
        return own, ()
    return own_card(name, arguments, origin, family.usual(name, arguments)), (
        _UNSAID.format("usual for such networks"),
    )
