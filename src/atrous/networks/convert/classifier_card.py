"""Cards of ImageNet classifiers: their thousand names, and how their images are prepared."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from atrous.networks.card import Card, Score
from atrous.networks.catalog import Argument, network_entry
from atrous.networks.convert.origin import (
    AUTHORS_LICENCE,
    CheckpointInfo,
    labels_for,
    whole_number,
)
from atrous.networks.convert.own_card import own_card
from atrous.networks.label_sets import LabelSet, numbered_labels
from atrous.networks.preprocessing.images import Preprocessing
from atrous.types import Size

MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)

_HALVES: Final = (0.5, 0.5, 0.5)
# torchvision's `transform_input`: these two were trained elsewhere, on pixels in [-1, 1].
_MADE_ELSEWHERE: Final = ("googlenet_torchvision", "inception_v3")


def imagenet_labels(num_classes: int) -> LabelSet:
    """ImageNet's thousand names in the usual order, or numbers for another number of classes."""
    labels = numbered_labels(num_classes)
    if num_classes != 1000:
        return labels
    from torchvision.models import ResNet18_Weights  # slow to import, and only needed for names

    return LabelSet(
        names=tuple(ResNet18_Weights.DEFAULT.meta["categories"]), palette=labels.palette
    )


def torchvision_preprocessing(
    network: str, *, shorter_side: int = 256, crop: int = 224
) -> Preprocessing:
    """How torchvision's weights want their images: resized, the middle cut out, normalised.

    Args:
        network: Ours; the mean and deviation are ImageNet's but for two of them.
        shorter_side: Length that the shorter side is resized to.
        crop: Length of the square that is cut out.
    """
    is_elsewhere = network in _MADE_ELSEWHERE
    return Preprocessing(
        mean=_HALVES if is_elsewhere else MEAN,
        std=_HALVES if is_elsewhere else STD,
        size=(crop, crop),
        shorter_side=shorter_side,
        interpolation="bilinear_antialias",
        steps=("resize", "normalise", "scale"),
    )


def classifier_card(
    network: str,
    arguments: Mapping[str, Argument],
    *,
    data: str,
    preprocessing: Preprocessing,
    source: str,
    licence: str,
    scores: tuple[Score, ...] = (),
) -> Card:
    """A card for a classifier, with ImageNet's names where it has a thousand classes."""
    labels = imagenet_labels(whole_number(arguments, "num_classes"))
    return Card(
        name=f"{network}.{data}",
        network=network,
        arguments=arguments,
        task="classification",
        class_names=labels.names,
        palette=labels.palette,
        preprocessing=preprocessing,
        scores=scores,
        source=source,
        licence=licence,
    )


def usual_preprocessing(network: str, arguments: Mapping[str, Argument]) -> Preprocessing:
    """What a network is usually fed where nobody says it: ImageNet's statistics.

    Classifiers see the middle of an image at their usual size, segmenters images of their own size.
    """
    if network_entry(network).task == "classification":
        crop, shorter_side = (299, 342) if network == "inception_v3" else (224, 256)
        return torchvision_preprocessing(network, shorter_side=shorter_side, crop=crop)
    channels = arguments.get("in_channels", len(MEAN))
    if channels != len(MEAN):
        count = whole_number(arguments, "in_channels")
        return Preprocessing(mean=(0.0,) * count, std=(1.0,) * count)
    return Preprocessing(
        mean=MEAN,
        std=STD,
        interpolation="bilinear_antialias",
        steps=("resize", "normalise", "scale"),
    )


def published_card(
    network: str,
    arguments: Mapping[str, Argument],
    weights: Any,  # noqa: ANN401 - a member of an enum of torchvision's, which is imported late
    *,
    size: Size | None = None,
    has_bytes: bool = True,
) -> Card:
    """The card of weights that torchvision publishes: its own sizes, and its own numbers.

    Args:
        network: Our name of the network.
        arguments: Of its factory.
        weights: The entry of torchvision's table.
        size: Another size than the published; the shorter side follows in proportion.
        has_bytes: Whether they are those weights, and not only called so: without it classes are
            numbered and there is no score.
    """
    preset = weights.transforms()
    crop, shorter_side = preset.crop_size[0], preset.resize_size[0]
    if size is not None:
        shorter_side, crop = round(shorter_side * max(size) / crop), max(size)
    scores = tuple(
        Score(
            dataset="imagenet-1k",
            split="val",
            protocol="central crop",
            metric=metric,
            value=value,
            source="torchvision's metadata",
        )
        for metric, value in weights.meta["_metrics"]["ImageNet-1K"].items()
    )
    card = classifier_card(
        network,
        arguments,
        data=f"imagenet_torchvision_{weights.name.lower()}",
        preprocessing=torchvision_preprocessing(network, shorter_side=shorter_side, crop=crop),
        source=weights.url,
        licence="see torchvision's page of the weights; this file is a conversion of them",
        scores=scores if size is None else (),
    )
    if has_bytes:
        return card
    labels = numbered_labels(len(card.class_names))
    return replace(
        card,
        name=f"{network}.{Path(weights.url).stem}",
        class_names=labels.names,
        scores=(),
        source=f"a file that is called {Path(weights.url).name}, but has not its bytes",
        licence="",
    )


def torchvision_card(
    network: str, arguments: Mapping[str, Argument], origin: CheckpointInfo
) -> Card:
    """Of a torchvision classifier that its owner says was trained on some data."""
    usual = usual_preprocessing(network, arguments)
    if origin.size is not None and usual.size is not None and usual.shorter_side is not None:
        crop = max(origin.size)
        side = round(usual.shorter_side * crop / usual.size[0])
        usual = replace(usual, size=(crop, crop), shorter_side=side)
    return classifier_card(
        network,
        arguments,
        data=origin.data or "torchvision",
        preprocessing=usual,
        source=f"a torchvision state dict, {origin.path.name}",
        licence="see torchvision's page of the weights; this file is a conversion of them",
    )


def segmenter_card(network: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """Of a torchvision segmenter that its owner says was trained on Pascal VOC's classes.

    Raises:
        DataError: If it has another number of classes.
        UnknownNameError: If it is said to be of other data.
    """
    count = whole_number(arguments, "num_classes")
    data = origin.training_data(network, count, by_classes={21: "voc"})
    labels = labels_for(data, count)
    card = own_card(network, arguments, origin, usual_preprocessing(network, arguments))
    return replace(card, class_names=labels.names, palette=labels.palette)


def espnetv2_card(network: str, arguments: Mapping[str, Argument], origin: CheckpointInfo) -> Card:
    """Of an authors' ESPNetv2 classifier: ImageNet's statistics, 256 to 224."""
    return classifier_card(
        network,
        arguments,
        data=f"{origin.data or 'imagenet'}_authors",
        preprocessing=Preprocessing(
            mean=MEAN,
            std=STD,
            size=origin.size or (224, 224),
            shorter_side=256 if origin.size is None else round(max(origin.size) / 0.875),
            interpolation="bilinear_antialias",
            steps=("resize", "normalise", "scale"),
        ),
        source=f"the authors' checkpoint {origin.path.name} (Mehta et al., ESPNetv2, CVPR 2019)",
        licence=AUTHORS_LICENCE,
    )
