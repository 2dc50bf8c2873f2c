"""The card of somebody's own weights: what their owner says of them, and nothing that is not known.

A network's shape does not tell what it was trained on: twelve classes are CamVid's in the authors'
file, and somebody's organs in another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, network_entry
from atrous.networks.convert.origin import CheckpointInfo, whole_number
from atrous.networks.label_sets import LabelSet, numbered_labels
from atrous.networks.preprocessing.images import ChannelOrder, Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the owner of weights says of them, where they are asked.

    Attributes:
        class_names: In the order of the logits; empty for numbers, or for published names.
        mean: Per channel, in the network's order; None if nothing is said.
        std: The same; given with `mean`.
        channel_order: Order of the channels that the network takes.
        value_range: Value of white in the units of mean and std: 1 or 255.
    """

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channel_order: ChannelOrder | None = None
    value_range: float | None = None

    def __post_init__(self) -> None:
        if len(self.mean or ()) != len(self.std or ()):
            raise DataError(
                f"mean is {self.mean} and std is {self.std}; expected both, as many numbers each; "
                "give the other."
            )
        white = self.value_range or 1.0
        if any(not 0 <= value <= white for value in (*(self.mean or ()), *(self.std or ()))):
            raise DataError(
                f"mean {self.mean} and std {self.std} are not of pixels in [0, {white:g}]; "
                "expected them so; set the range to 255 if that is how they are meant."
            )
        if self.mean is None and (self.channel_order or self.value_range):
            raise DataError(
                "A channel order or range is given without mean and std, which it is of; give them."
            )

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said."""
        return self == Said()


def own_card(
    network: str,
    arguments: Mapping[str, Argument],
    origin: CheckpointInfo,
    preprocessing: Preprocessing,
) -> Card:
    """A card with numbers for names, and a preprocessing that its owner may say otherwise.

    Args:
        network: Name in the catalog.
        arguments: Of its factory.
        origin: The file.
        preprocessing: What such networks are usually fed.
    """
    labels = numbered_labels(whole_number(arguments, "num_classes"))
    return Card(
        name=f"{network}.{origin.path.stem}",
        network=network,
        arguments=arguments,
        task=network_entry(network).task,
        class_names=labels.names,
        palette=labels.palette,
        preprocessing=replace(preprocessing, size=origin.size or preprocessing.size),
        mask_resize="linear",
        source=f"the checkpoint {origin.path.name}, of which nothing is published",
    )


def as_said(card: Card, said: Said) -> Card:
    """The card with what its owner says; scores are those of published weights as they are fed.

    Raises:
        DataError: If there are not as many names as classes, or as many means as channels.
    """
    if said.is_silent:
        return card
    facts = card.preprocessing
    if said.mean is not None and said.std is not None:
        if len(said.mean) != len(facts.mean):
            raise DataError(
                f"mean has {len(said.mean)} numbers, but the network takes {len(facts.mean)} "
                "channels; expected one each."
            )
        facts = replace(
            facts,
            mean=said.mean,
            std=said.std,
            channel_order=said.channel_order or "RGB",
            value_range=said.value_range or 1.0,
            final_scale=1.0,
        )
    labels = card.labels
    if said.class_names:
        if len(said.class_names) != len(card.class_names):
            raise DataError(
                f"{len(said.class_names)} class names were given, but the network has "
                f"{len(card.class_names)} classes; expected one each."
            )
        labels = LabelSet(names=said.class_names, palette=labels.palette)
    return replace(
        card,
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=facts,
        scores=(),
    )
