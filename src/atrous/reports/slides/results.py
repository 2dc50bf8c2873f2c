"""Everything that is written of one slide, from its label map, into a folder of its own.

```
OUT/NAME/
  labels.ome.tif       class indices in colours, pyramidal, with scale; 255 where nothing ran
  probabilities.ome.tif  if wanted: a channel a class, in steps of 1 / 255
  regions.geojson      polygons in pixels of level 0, in the frame of QuPath
  overlay.png          the thumbnail by tissue, with legend and scale bar
  measurements.csv     mm², regions, borders, co-occurrence
  cooccurrence.png     which tissues lie beside which
  diagnosis.json       of a joint network: labels of the slide and of every tile
  diagnosis_NAME.png   a heat map of every label
  discriminative.png   the tissue where the slide's likeliest label is the most probable
  run.json             what all of it depends on; written last
```
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous._files import write_atomically, write_text
from atrous.data.slides.frame import frame_record, has_two_frames
from atrous.data.slides.mask_map import MaskMap
from atrous.data.slides.read import Slide
from atrous.inference.slides.plan import SlidePlan
from atrous.metrics.tissue_features import TissueFeatures
from atrous.networks.card import Card
from atrous.reports.figure_file import write_figure
from atrous.reports.slides.cooccurrence import cooccurrence_figure
from atrous.reports.slides.geojson import write_geojson
from atrous.reports.slides.heat_map import discriminative_mask, discriminative_picture, heat_map
from atrous.reports.slides.mask_tiff import write_label_tiff
from atrous.reports.slides.measurements import count_tissues, write_measurements
from atrous.reports.slides.overlay import sample_labels, write_slide_overlay

THUMBNAIL: Final = 1600
"""Longer side of the pictures, pixels."""

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFacts:
    """What the files of a slide are made from.

    Attributes:
        name: Of the slide.
        slide: Open.
        plan: As it ran.
        card: Of the network.
        label_map: Its result.
        labels: Probabilities of labels by place of a tile, of networks that give them.
        label_names: Of them.
        smallest_um2: Regions smaller than this get no polygon of their own, µm².
        frame: Where polygons count from: `qupath` or `level0`.
        omitted: Classes that get no polygons.
    """

    name: str
    slide: Slide
    plan: SlidePlan
    card: Card
    label_map: MaskMap
    labels: Mapping[Place, tuple[float, ...]]
    label_names: tuple[str, ...]
    smallest_um2: float = 0.0
    frame: str = "qupath"
    omitted: tuple[str, ...] = ()

    @property
    def map_mpp(self) -> tuple[float, float]:
        """Micrometres per pixel of the map, down and to the right."""
        own, scale = self.slide.mpp, self.plan.scale
        return own[0] * scale[0], own[1] * scale[1]

    @property
    def skipped(self) -> tuple[int, ...]:
        """Indices of the classes that get no polygons."""
        void = () if self.card.void_class is None else (self.card.void_class,)
        return (*void, *(self.card.class_names.index(name) for name in self.omitted))

    def slide_frame(self, frame: str) -> dict[str, object] | None:
        """A frame as it is named in files; None of a slide for which there is one only."""
        return frame_record(self.slide, frame) if has_two_frames(self.slide) else None


def write_slide_results(
    folder: Path, facts: SlideFacts, *, say: Callable[[str], object] = lambda _: None
) -> TissueFeatures:
    """Write all files but `run.json` and the probabilities, each whole or not at all.

    Args:
        folder: Theirs; it is there.
        facts: Of the slide.
        say: Told what is being written.

    Returns:
        What was counted.

    Raises:
        DataError: If one cannot be written.
    """
    names, palette = facts.card.class_names, facts.card.palette
    say("measurements")
    features = count_tissues(facts.label_map, num_classes=len(names), mpp=facts.map_mpp)
    write_measurements(folder / "measurements.csv", {facts.name: features}, class_names=names)
    write_figure(cooccurrence_figure(features, class_names=names), folder / "cooccurrence.png")
    say("label TIFF")
    write_label_tiff(
        facts.label_map,
        folder / "labels.ome.tif",
        palette=palette,
        class_names=names,
        mpp=facts.map_mpp,
        frame=facts.slide_frame("level0"),
    )
    say("polygons")
    write_geojson(
        facts.label_map,
        folder / "regions.geojson",
        class_names=names,
        palette=palette,
        scale=facts.plan.scale,
        mpp=facts.map_mpp,
        frame=facts.slide_frame(facts.frame),
        smallest_um2=facts.smallest_um2,
        skip=facts.skipped,
    )
    say("pictures")
    thumbnail = facts.slide.read_thumbnail(THUMBNAIL)
    write_slide_overlay(
        facts.label_map,
        thumbnail,
        folder / "overlay.png",
        class_names=names,
        palette=palette,
        mpp=facts.map_mpp,
        areas=features.areas.tolist(),
    )
    if facts.labels:
        _write_diagnosis(folder, facts, thumbnail)
    return features


def diagnosis_record(facts: SlideFacts) -> dict[str, object]:
    """Labels of the slide (the mean over its tiles) and of every tile, as JSON values."""
    rows = np.array([facts.labels[place] for place in sorted(facts.labels)])
    likeliest = rows.argmax(1)
    return {
        "protocol": "mean over tiles that touch tissue of each tile's label probabilities",
        "tiles": len(rows),
        "probability": {
            name: round(float(value), 6)
            for name, value in zip(facts.label_names, rows.mean(0), strict=True)
        },
        "share_of_tiles_where_likeliest": {
            name: round(float(np.mean(likeliest == index)), 6)
            for index, name in enumerate(facts.label_names)
        },
        "by_tile": [
            {"row": place[0], "column": place[1], "probability": list(facts.labels[place])}
            for place in sorted(facts.labels)
        ],
    }


def tile_probabilities(facts: SlideFacts) -> NDArray[np.float32]:
    """Probabilities of labels by tile, `(L, rows, columns)`; not-a-number where nothing ran."""
    grid = np.full((len(facts.label_names), *facts.plan.grid.shape), np.nan, np.float32)
    for place, row in facts.labels.items():
        grid[:, place[0], place[1]] = row
    return grid


def _write_diagnosis(folder: Path, facts: SlideFacts, thumbnail: NDArray[np.uint8]) -> None:
    write_text(folder / "diagnosis.json", json.dumps(diagnosis_record(facts), indent=1) + "\n")
    shape = thumbnail.shape[:2]
    mpp = tuple(
        pixel * length / shown
        for pixel, length, shown in zip(facts.map_mpp, facts.label_map.size, shape, strict=True)
    )
    by_tile = stretch(tile_probabilities(facts), facts.plan, shape)
    for index, name in enumerate(facts.label_names):
        picture = heat_map(thumbnail, by_tile[index], name=name, mpp=(mpp[0], mpp[1]))
        safe = "".join(c if c.isalnum() else "_" for c in name)
        write_figure(picture, folder / f"diagnosis_{safe}.png")
    likeliest = int(np.nanmean(by_tile, axis=(1, 2)).argmax())
    mask = discriminative_mask(sample_labels(facts.label_map, shape), by_tile, diagnosis=likeliest)
    shown = discriminative_picture(
        thumbnail,
        mask,
        class_names=facts.card.class_names,
        palette=facts.card.palette,
        mpp=(mpp[0], mpp[1]),
    )
    with write_atomically(folder / "discriminative.png") as file:
        shown.save(file, format="PNG")


def stretch(
    by_tile: NDArray[np.float32], plan: SlidePlan, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Values of tiles `(L, rows, columns)` as a picture `(L, *shape)` of the whole grid.

    The last tiles of a row or column are cut by the border; a plain enlargement would shift them.
    """
    places = [
        ((2 * np.arange(length) + 1) * whole // (2 * length)) // core
        for length, whole, core in zip(shape, plan.grid.size, plan.grid.core, strict=True)
    ]
    return np.ascontiguousarray(by_tile[:, places[0]][:, :, places[1]])
