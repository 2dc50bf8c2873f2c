"""Score a network on data of other classes: both in the classes that a map says they share."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.class_map import OTHER, ClassMap
from atrous.evaluation.masks import Predict
from atrous.networks.card import Card
from atrous.types import Colour

_OTHER_COLOUR: Colour = (0, 0, 0)


def shared_card(card: Card, class_map: ClassMap) -> Card:
    """A segmenter's card with the classes it is scored by instead of its own.

    Those are the shared classes, each with the colour of its first member; and last `OTHER`, if the
    map leaves any class of the network out. That one is the card's void class: it is never in the
    truth, and so not averaged, but a labelled pixel that is called so is wrong.

    Raises:
        UnknownNameError: If the map names a class that the network does not have.
        DataError: If the map says nothing of networks.
    """
    table = class_map.network_table(card.class_names)
    count = len(class_map.classes)
    has_other = count in table
    palette = tuple(card.palette[table.index(shared)] for shared in range(count))
    return replace(
        card,
        class_names=class_map.classes + (OTHER,) * has_other,
        palette=palette + (_OTHER_COLOUR,) * has_other,
        void_class=count if has_other else None,
    )


def in_shared_classes(predict: Predict, table: Sequence[int]) -> Predict:
    """A predictor whose masks hold shared classes.

    The likeliest class of the network is chosen first, among all of its own, and then mapped.

    Args:
        predict: Its masks hold the network's classes.
        table: From the network's classes to shared ones, as `ClassMap.network_table` gives it.
    """
    shared = torch.tensor(table)

    def predict_shared(images: Sequence[NDArray[np.uint8 | np.float32]]) -> list[Tensor]:
        return [shared.to(mask.device)[mask.long()] for mask in predict(images)]

    return predict_shared
