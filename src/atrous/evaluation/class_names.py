"""A data set in a network's classes, matched by their names and never by their order alone."""

import re
from collections.abc import Sequence
from typing import Final

from atrous.data.class_map import ClassMap
from atrous.data.combine import Remapped
from atrous.data.dataset import Dataset
from atrous.errors import DataError

_SHOWN: Final = 8
"""Classes that a note or message names."""
_SPELLINGS: Final = (("oedema", "edema"), ("tumour", "tumor"), ("grey", "gray"))
_BACKGROUND: Final = frozenset({"background", "bg"})


def in_network_classes(samples: Dataset, class_names: Sequence[str]) -> tuple[Dataset, str | None]:
    """The samples, whose masks hold the network's class indices, and what to say of that.

    Names are equal but for capitals, what parts words, and British or American spelling. The data
    may lack some of the network's classes, and may have them in another order.

    Args:
        samples: With masks, in the data's own classes.
        class_names: The network's, in the order of its logits.

    Returns:
        The samples and a note: None where names and order are the network's.

    Raises:
        DataError: If the data has a class that the network has not.
    """
    names = samples.class_names
    if names is None:
        if samples.num_classes > len(class_names):
            raise DataError(
                f"The data has {samples.num_classes} classes, but the network only "
                f"{len(class_names)}; {_advice(class_names)}."
            )
        return samples, f"the data names no classes; taken by their numbers: {_few(class_names)}"
    ours = [_plain(name) for name in class_names]
    theirs = [_plain(name) for name in names]
    if theirs == ours[: len(theirs)]:
        return samples, None
    unknown = [name for name, plain in zip(names, theirs, strict=True) if plain not in ours]
    if unknown:
        raise DataError(
            f"The data has the classes {_few(names)}, and the network has no "
            f"{', '.join(unknown[:_SHOWN])}; {_advice(class_names)}."
        )
    table = {name: class_names[ours.index(_plain(name))] for name in names}
    by_name = ClassMap(name="classes by name", classes=tuple(class_names), data=table)
    return Remapped(samples, by_name), f"the data's classes matched by name: {_few(names)}"


def present_classes(samples: Dataset, class_names: Sequence[str]) -> set[str]:
    """The network's classes that data has which names its own."""
    theirs = {_plain(name) for name in samples.class_names or ()}
    return {name for name in class_names if _plain(name) in theirs}


def is_background(name: str) -> bool:
    """Whether a class of this name is what is left when no other is there.

    Example:
        >>> is_background("BG"), is_background("liver")
        (True, False)
    """
    return _plain(name) == "background"


def _advice(class_names: Sequence[str]) -> str:
    return (
        f"expected classes of the network's names ({_few(class_names)}); map them by --remap FILE, "
        "score in shared classes by --class-map FILE, or take another network"
    )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(f"{index} {name}" for index, name in enumerate(names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _plain(name: str) -> str:
    """A name's letters and digits, in one spelling.

    Example:
        >>> _plain("Enhancing_Tumour") == _plain("enhancing tumor"), _plain("BG")
        (True, 'background')
    """
    plain = re.sub(r"[\W_]+", "", name.casefold())
    for british, american in _SPELLINGS:
        plain = plain.replace(british, american)
    return "background" if plain in _BACKGROUND else plain
