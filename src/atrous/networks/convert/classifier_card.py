"""Cards of ImageNet classifiers: their thousand names, and how their images are prepared."""

from collections.abc import Mapping
from typing import Final

from atrous.networks.card import Card, Score
from atrous.networks.catalog import Argument
from atrous.networks.convert.origin import AUTHORS_LICENCE, CheckpointInfo, whole_number
from atrous.networks.label_sets import LabelSet, numbered_labels
from atrous.networks.preprocessing.images import Preprocessing

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


def torchvision_card(
    network: str, arguments: Mapping[str, Argument], origin: CheckpointInfo
) -> Card:
    """Of a torchvision state dict in a file, which does not tell the recipe of its training."""
    crop, shorter_side = (299, 342) if network == "inception_v3" else (224, 256)
    if origin.size is not None:
        shorter_side = round(shorter_side * max(origin.size) / crop)
        crop = max(origin.size)
    return classifier_card(
        network,
        arguments,
        data=origin.data or "torchvision",
        preprocessing=torchvision_preprocessing(network, shorter_side=shorter_side, crop=crop),
        source=f"a torchvision state dict, {origin.path.name}",
        licence="see torchvision's page of the weights; this file is a conversion of them",
    )


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
