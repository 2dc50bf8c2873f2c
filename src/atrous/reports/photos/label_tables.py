"""The likeliest labels of images, as rows of CSV and as plain values for JSON."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from atrous.reports.csv_table import csv_text

Ranking: TypeAlias = list[tuple[str, float]]
"""Labels of one image with their probabilities, likeliest first."""

TOP = 5
"""Labels that tables keep of every image."""


def ranking_record(ranking: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    """One object a label, for JSON.

    Example:
        >>> ranking_record([("dog", 0.75)])
        [{'class': 'dog', 'probability': 0.75}]
    """
    return [{"class": label, "probability": round(p, 6)} for label, p in ranking]


def labels_record(rankings: Mapping[str, Ranking]) -> dict[str, list[dict[str, object]]]:
    """The rankings of images by name, for JSON."""
    return {name: ranking_record(ranking) for name, ranking in rankings.items()}


def labels_csv(rankings: Mapping[str, Ranking]) -> str:
    """A row per image and rank, under a header.

    Example:
        >>> print(labels_csv({"a": [("dog", 0.75)]}), end="")
        image,rank,class,probability
        a,1,dog,0.750000
    """
    rows = [
        [name, rank, label, f"{probability:.6f}"]
        for name, ranking in rankings.items()
        for rank, (label, probability) in enumerate(ranking, 1)
    ]
    return csv_text([["image", "rank", "class", "probability"], *rows])
