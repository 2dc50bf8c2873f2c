"""A ceiling of memory, as people write it."""

import re
from typing import Final

from atrous.errors import DataError

DEFAULT: Final = 4_000_000_000
"""Bytes."""

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_memory(text: str) -> int:
    """Bytes of a text such as `2G`, `1500M` or `2.5GB`; thousands, not 1024s.

    Raises:
        DataError: If it is none.

    Example:
        >>> parse_memory("2G"), parse_memory("1.5 GB")
        (2000000000, 1500000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise DataError(f"A memory of {text!r}; expected a number and a unit, such as 2G or 800M.")
    return round(float(match[1]) * _UNITS[match[2].upper()])
