"""Which options of `predict` hold for which files: none is taken and then left aside."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from atrous.errors import DataError

Kind: TypeAlias = Literal["photos", "slides", "volumes"]

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {
        "--background": ("photos",),
        "--foreground": ("photos",),
        "--max-pixels": ("photos",),
        "--weights": ("photos", "slides"),
        "--mpp": ("slides",),
        "--at-mpp": ("slides",),
        "--tile": ("slides",),
        "--all-tiles": ("slides",),
        "--probabilities": ("slides",),
        "--min-region": ("slides",),
        "--plan": ("slides",),
        "--memory": ("slides", "volumes"),
        "--context": ("slides", "volumes"),
        "--flip": ("volumes",),
        "--allow-missing": ("volumes",),
        "--html": ("volumes",),
        "--bids": ("volumes",),
    }
)


def check_options(kind: Kind, values: Mapping[str, object]) -> None:
    """See that no option was given that the files make no use of.

    Args:
        kind: What the files are.
        values: By option; None, False, `auto` and nothing at all mean that it was not given.

    Raises:
        DataError: If one was.
    """
    for option, value in values.items():
        if value not in (None, False, [], "auto") and kind not in KINDS[option]:
            raise DataError(
                f"{option} is for {' and '.join(KINDS[option])}, and these are {kind}; leave it "
                "out."
            )
