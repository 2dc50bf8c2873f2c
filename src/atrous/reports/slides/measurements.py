"""Tissues of slides in numbers, as CSV: a row per slide and tissue."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from atrous._files import write_text
from atrous.data.slides.mask_map import MaskMap, iterate_chunks
from atrous.metrics.tissue_features import TissueCounter, TissueFeatures
from atrous.reports.csv_table import csv_text


def count_tissues(
    label_map: MaskMap, *, num_classes: int, mpp: tuple[float, float]
) -> TissueFeatures:
    """Count a label map chunk by chunk.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        num_classes: How many classes there are.
        mpp: Micrometres per pixel of the map, down and to the right.

    Raises:
        DataError: If the map holds a class out of range.
    """
    counter = TissueCounter(num_classes=num_classes, size=label_map.size, mpp=mpp)
    for top, left, labels in iterate_chunks(label_map):
        counter.add(labels, top=top, left=left)
    return counter.features()


def write_measurements(
    path: Path, slides: Mapping[str, TissueFeatures], *, class_names: Sequence[str]
) -> None:
    """Write `measurements_csv` to a file.

    Raises:
        DataError: If it cannot be written.
    """
    write_text(path, measurements_csv(slides, class_names=class_names))


def measurements_csv(slides: Mapping[str, TissueFeatures], *, class_names: Sequence[str]) -> str:
    """A row per slide and tissue, under a header.

    Columns: slide; tissue; area_mm2; share (of all tissues that were named); num_regions, and
    their mean, median and largest area in mm²; then, for every tissue, interface_mm:NAME (length
    of the border with it) and cooccurrence:NAME (share of the neighbouring pairs of pixels of the
    whole slide; all of a slide sum to 1).

    Args:
        slides: What was counted, by the slide's name.
        class_names: One name a class.
    """
    rows: list[Sequence[object]] = [
        [
            *("slide", "tissue", "area_mm2", "share", "num_regions"),
            *(f"{kind}_region_mm2" for kind in ("mean", "median", "largest")),
            *(f"interface_mm:{name}" for name in class_names),
            *(f"cooccurrence:{name}" for name in class_names),
        ]
    ]
    for slide, features in slides.items():
        areas, shares = features.areas, features.frequencies
        interfaces, cooccurrence = features.interfaces, features.cooccurrence
        for index, (name, regions) in enumerate(
            zip(class_names, features.region_areas, strict=True)
        ):
            of_regions = (
                [regions.mean(), np.median(regions), regions.max()] if len(regions) else [0, 0, 0]
            )
            numbers = [*of_regions, *interfaces[index], *cooccurrence[index]]
            rows.append(
                [slide, name, _plain(areas[index]), _plain(shares[index]), len(regions)]
                + [_plain(number) for number in numbers]
            )
    return csv_text(rows)


def _plain(number: float) -> str:
    """Nine digits: areas in mm² are exact to single pixels."""
    return f"{number:.9g}"
