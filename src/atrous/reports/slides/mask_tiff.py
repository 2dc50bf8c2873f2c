"""A slide's label map as a pyramidal TIFF with its colours, scale and class names."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np

from atrous.data.slides.mask_map import MaskMap, check_classes
from atrous.data.slides.write_pyramid import TileKind, label_tiles, write_pyramid
from atrous.reports.slides.ome import ome_root, ome_text
from atrous.types import UNLABELLED, Colour, Size

TILE: Final = 512
"""Side of a tile, pixels."""
NOT_RUN: Final = (255, 255, 255)
"""Colour of 255, where nothing ran."""


def write_label_tiff(
    label_map: MaskMap,
    path: Path,
    *,
    palette: Sequence[Colour],
    class_names: Sequence[str],
    mpp: tuple[float, float],
    frame: Mapping[str, object] | None = None,
) -> None:
    """Write an OME-TIFF of class indices: tiled, compressed, with levels of half the size each.

    It holds the indices themselves, 255 where nothing ran, and a colour for each. The scale is
    in TIFF's resolution and in the OME-XML, the names of the classes are there in a map annotation.
    The file appears when it is whole.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        path: The file; by custom NAME.ome.tif.
        palette: One colour a class.
        class_names: One name a class.
        mpp: Micrometres per pixel of the map, down and to the right.
        frame: Part of the slide that the map is of, to be named in the OME-XML; None for no word.

    Raises:
        DataError: If the map holds other classes, or the file cannot be written.
        MissingExtraError: If the extra `slides` is not installed.
    """
    unused = [(0, 0, 0)] * (UNLABELLED - len(palette))
    kind = label_tiles(tile=TILE, palette=[*palette, *unused, NOT_RUN])
    write_pyramid(
        path,
        _tiles(label_map, kind, num_classes=len(class_names)),
        kind=kind,
        size=label_map.size,
        tile=TILE,
        mpp=mpp,
        description=ome_xml(
            label_map.size, mpp=mpp, name=path.name, class_names=class_names, frame=frame
        ),
    )


def ome_xml(
    size: Size,
    *,
    mpp: tuple[float, float],
    name: str,
    class_names: Sequence[str],
    frame: Mapping[str, object] | None = None,
) -> str:
    """The description of a label map, ASCII.

    Args:
        size: `(H, W)`, pixels.
        mpp: Micrometres per pixel, down and to the right.
        name: Of the picture.
        class_names: One name a class; they become the values of a map whose keys are the indices.
        frame: Part of the slide that the map is of, which becomes a map of its own.
    """
    root = ome_root(size, mpp=mpp, name=name, channel="class")
    image = root[0]
    ET.SubElement(image, "AnnotationRef", ID="Annotation:0")
    if frame is not None:
        ET.SubElement(image, "AnnotationRef", ID="Annotation:1")
    annotations = ET.SubElement(root, "StructuredAnnotations")
    classes = {str(index): class_name for index, class_name in enumerate(class_names)}
    _add_map(annotations, 0, "classes", classes)
    if frame is not None:
        _add_map(annotations, 1, "frame", {key: str(value) for key, value in frame.items()})
    return ome_text(root)


def _add_map(
    annotations: ET.Element, number: int, namespace: str, entries: Mapping[str, str]
) -> None:
    annotation = ET.SubElement(
        annotations, "MapAnnotation", ID=f"Annotation:{number}", Namespace=namespace
    )
    value = ET.SubElement(annotation, "Value")
    for key, text in entries.items():
        ET.SubElement(value, "M", K=key).text = text


def _tiles(label_map: MaskMap, kind: TileKind, *, num_classes: int) -> Iterator[bytes]:
    """Encoded tiles, row by row; those at the border are filled up with 255."""
    height, width = label_map.size
    step = TILE * ceil(label_map.chunk[1] / TILE)
    of_one_class: dict[int, bytes] = {}  # most of a slide is: each such tile is encoded once
    for top in range(0, height, TILE):
        rows = min(TILE, height - top)
        for first in range(0, width, step):
            columns = min(step, width - first)
            strip = np.full((TILE, TILE * ceil(columns / TILE)), UNLABELLED, np.uint8)
            strip[:rows, :columns] = label_map.read(top, first, rows, columns)
            check_classes(strip, num_classes)
            for left in range(0, strip.shape[1], TILE):
                labels = strip[:, left : left + TILE]
                value = int(labels[0, 0])
                if (labels != value).any():
                    yield kind.encode(labels)
                    continue
                if value not in of_one_class:
                    of_one_class[value] = kind.encode(labels)
                yield of_one_class[value]
