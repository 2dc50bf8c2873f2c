"""Every error the library raises on purpose.

AtrousError
├── ShapeError          a tensor, kernel or size does not fit          (also a ValueError)
├── DataError           a file or folder does not hold what it should  (also a ValueError)
├── ExpressionError     a layer expression cannot be read              (also a ValueError)
├── UnknownNameError    a network, layout or protocol is not listed    (also a LookupError)
└── MissingExtraError   an optional package is not installed           (also an ImportError)

A message says, in this order: what was found, what was expected, what to do about it.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_NAMES_SHOWN = 60
"""Of longer catalogs, a message lists the nearest names only."""


class AtrousError(Exception):
    """Base of all deliberate errors; the command prints these without a traceback."""


class ShapeError(AtrousError, ValueError):
    """A tensor, kernel or image size does not fit the operation."""


class DataError(AtrousError, ValueError):
    """A file or folder does not hold what the reader needs."""


class ExpressionError(AtrousError, ValueError):
    """A layer expression, such as `Conv2d(12, 24, 3)`, cannot be read."""


class MissingExtraError(AtrousError, ImportError):
    """An optional dependency is needed and absent."""


class UnknownNameError(AtrousError, LookupError):
    """A name is not in a catalog.

    Example:
        >>> raise UnknownNameError("network", "espnett", ["espnet", "espnet_c"])
        Traceback (most recent call last):
        atrous.errors.UnknownNameError: No network is named 'espnett'. Did you mean 'espnet'? \
Known: espnet, espnet_c.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        shown = names
        if len(names) > MAX_NAMES_SHOWN:
            shown = get_close_matches(name, names, n=MAX_NAMES_SHOWN // 4, cutoff=0.3)
            shown = [*shown, f"{len(names) - len(shown)} others"]
        super().__init__(f"No {kind} is named {name!r}.{hint} Known: {', '.join(shown)}.")
