"""Which class of a network is the thing itself, and which are what lies behind it."""

from atrous.errors import DataError, UnknownNameError
from atrous.networks.card import Card

BACKGROUND = "background"
PERSON = "person"


def foreground_class(card: Card, name: str | None = None) -> int:
    """Index of the class that is kept when the background is blurred or taken away.

    Args:
        card: Of the network.
        name: Of the class, where the user gives one. Otherwise it is the other class of two of
            which one is named `background`, or else the class named `person`.

    Raises:
        UnknownNameError: If no class has the name that was given.
        DataError: If none was given and the card does not tell.

    Example:
        >>> from atrous.networks.preprocessing.images import Preprocessing
        >>> card = Card(
        ...     name="espnet.cells", network="espnet", task="segmentation",
        ...     class_names=("background", "cell"), palette=((0, 0, 0), (255, 0, 0)),
        ...     preprocessing=Preprocessing(mean=(0.5,), std=(0.25,)),
        ... )
        >>> foreground_class(card)
        1
    """
    names = card.class_names
    if name is not None:
        if name not in names:
            raise UnknownNameError(f"class of {card.name}", name, names)
        return names.index(name)
    if len(names) == 2 and BACKGROUND in names:
        return 1 - names.index(BACKGROUND)
    if PERSON in names:
        return names.index(PERSON)
    raise DataError(
        f"{card.name} has no class named {PERSON!r}, so it is not known which one to keep before "
        f"the background; name one of its classes with --foreground: {', '.join(names)}."
    )
