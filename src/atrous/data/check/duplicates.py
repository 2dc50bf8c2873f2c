"""Images that are in a data set twice, to the pixel or nearly so."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from atrous.data.check.inspect import ImageSummary

NEAR_CORRELATION: Final = 0.995
"""Thumbnails that correlate as highly are compared by their levels too."""

NEAR_LEVELS: Final = 4.0
"""Mean difference of the levels (0 to 255) of thumbnails below which images are nearly equal.

It lets pass a new compression, a new size, a slight change of brightness; not another moment of
the same scene, unless next to nothing moved. A mirrored or cropped copy is not found."""

_MAX_COMPARED: Final = 2**27
"""Correlations held at once: half a gigabyte."""


def equal_groups(looks: Sequence[ImageSummary]) -> list[list[int]]:
    """Indices of images with equal pixels, in groups of two and more, in order of appearance."""
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        by_digest[look.digest].append(index)
    return [group for group in by_digest.values() if len(group) > 1]


def near_groups(looks: Sequence[ImageSummary]) -> list[list[int]]:
    """Indices of images that look nearly the same as another of their group, but are not equal.

    The first and the last frame of a film may meet in a group that leads from one to the other.
    Every image is compared with every other: 10,000 take a second, 100,000 two minutes.
    """
    return connected(len(looks), [pair for pair in _near(looks, looks) if pair[0] < pair[1]])


def near_pairs(
    looks: Sequence[ImageSummary], others: Sequence[ImageSummary]
) -> list[tuple[int, int]]:
    """Pairs of an image and one of another set that look nearly the same but are not equal."""
    return list(_near(looks, others))


def connected(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """What pairs of the numbers below `count` join directly or through others, in ascending groups.

    Example:
        >>> connected(6, [(4, 1), (2, 5), (1, 0)])
        [[0, 1, 4], [2, 5]]
    """
    if not pairs:
        return []
    rows, columns = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(count, count))
    _, group_of = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(group_of.tolist()):
        groups[group].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _near(
    looks: Sequence[ImageSummary], others: Sequence[ImageSummary]
) -> Iterator[tuple[int, int]]:
    if not looks or not others:
        return
    columns = _standardised(others).T
    rows_at_once = max(1, _MAX_COMPARED // len(others))
    for start in range(0, len(looks), rows_at_once):
        chunk = looks[start : start + rows_at_once]
        correlation = _standardised(chunk) @ columns
        for row, column in np.argwhere(correlation >= NEAR_CORRELATION):
            first, second = chunk[row], others[column]
            if first.digest != second.digest and _levels_apart(first, second) <= NEAR_LEVELS:
                yield start + int(row), int(column)


def _standardised(looks: Sequence[ImageSummary]) -> NDArray[np.float32]:
    """Thumbnails as rows of mean 0 and length 1, so that a product of two is their correlation.

    A thumbnail of one level has no direction and becomes zeros, which are like nothing: blank
    images would otherwise all be like each other.
    """
    rows = np.stack([look.thumbnail.ravel() for look in looks]).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1)


def _levels_apart(first: ImageSummary, second: ImageSummary) -> float:
    difference = first.thumbnail.astype(np.int16) - second.thumbnail
    return float(np.abs(difference).mean())
