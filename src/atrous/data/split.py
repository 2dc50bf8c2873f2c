"""Divide the samples of a data set in two, so that neither order nor later additions matter."""

import hashlib
from collections.abc import Sequence

from atrous.data.check.duplicates import connected
from atrous.errors import DataError


def split_names(
    names: Sequence[str],
    *,
    share: float = 0.8,
    seed: int = 0,
    together: Sequence[Sequence[str]] = (),
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide names into about `share` of them and the rest, both in the order of `names`.

    A hash of seed and name decides, so the same name falls on the same side in every order, on
    every machine and whatever is added later. The parts are as exact as tosses of a coin: of 300
    names at 0.8 nearly always between 226 and 254 are in the first.

    Args:
        names: All of them, each once.
        share: Of the first part, between 0 and 1.
        seed: Another seed gives another division.
        together: Groups of names that must not be divided, such as images that are the same; the
            first of a group in alphabetical order decides for all.

    Raises:
        DataError: If `share` is not between 0 and 1, or a part comes out empty.

    Example:
        >>> first, rest = split_names("abcdefgh", share=0.5, together=["ah"])
        >>> sorted(first + rest) == list("abcdefgh"), ("a" in first) == ("h" in first)
        (True, True)
    """
    if not 0 < share < 1:
        raise DataError(f"A share of {share:g}; expected one between 0 and 1, such as 0.8.")
    decider = _deciders(names, together)
    is_first = [_position(f"{seed}:{decider[name]}") < share for name in names]
    first = tuple(name for name, is_in in zip(names, is_first, strict=True) if is_in)
    rest = tuple(name for name, is_in in zip(names, is_first, strict=True) if not is_in)
    if not first or not rest:
        raise DataError(
            f"All {len(names)} samples would fall into one part; expected some in both; take "
            "another seed, a share nearer to a half, or more data."
        )
    return first, rest


def fold_names(
    names: Sequence[str],
    *,
    num_folds: int,
    seed: int = 0,
    together: Sequence[Sequence[str]] = (),
) -> tuple[tuple[str, ...], ...]:
    """Divide names into folds of nearly equal size, each in the order of `names`.

    Groups of one subject fall into one fold. They are dealt out in the order of a hash of seed and
    name, so that the order of `names` does not matter; names that are added later may move others.

    Args:
        names: All of them, each once.
        num_folds: How many; at least 2.
        seed: Another seed gives another division.
        together: Groups of names that must not be divided.

    Raises:
        DataError: If there are fewer groups than folds, or fewer than two folds are asked for.

    Example:
        >>> folds = fold_names("abcdef", num_folds=3, together=["af"])
        >>> sorted(map(len, folds)), any({"a", "f"} <= set(fold) for fold in folds)
        ([1, 2, 3], True)
    """
    decider = _deciders(names, together)
    groups = sorted(set(decider.values()), key=lambda name: (_position(f"{seed}:{name}"), name))
    if not 2 <= num_folds <= len(groups):
        raise DataError(
            f"{num_folds} folds of {len(groups)} subjects; expected 2 to {len(groups)}; ask for "
            "another number."
        )
    fold_of = {name: index % num_folds for index, name in enumerate(groups)}
    return tuple(
        tuple(name for name in names if fold_of[decider[name]] == fold) for fold in range(num_folds)
    )


def _deciders(names: Sequence[str], together: Sequence[Sequence[str]]) -> dict[str, str]:
    """The name whose hash decides, by name."""
    index_of = {name: index for index, name in enumerate(names)}
    pairs = [(index_of[group[0]], index_of[other]) for group in together for other in group[1:]]
    decider = {name: name for name in names}
    for indices in connected(len(names), pairs):
        members = [names[index] for index in indices]
        decider.update(dict.fromkeys(members, min(members)))
    return decider


def _position(text: str) -> float:
    """Where a text falls in [0, 1): evenly, and the same everywhere."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48
