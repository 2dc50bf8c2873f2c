"""Made whole slides of any size: biopsy cores on glass, their true tissues, and a diagnosis.

A slide is a part of a mixed world: zones of different diagnoses, drawn tile by tile, so that memory
does not grow with its size. Files need the extra `slides`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np

from atrous._files import make_folder, write_text
from atrous.data.layouts.image_folder import LABEL_NAMES_FILE
from atrous.data.layouts.joint_folder import LABELS_FILE
from atrous.data.layouts.mask_folder import CLASSES_FILE
from atrous.data.slides.write_pyramid import label_tiles, photo_tiles, write_pyramid
from atrous.data.synthetic.anatomy import Tissue
from atrous.data.synthetic.noise import Region
from atrous.data.synthetic.section import Section, touches
from atrous.data.synthetic.sites import cells_within
from atrous.data.synthetic.stain import draw_stain
from atrous.data.synthetic.textures import MARGIN
from atrous.data.synthetic.tissue import DIAGNOSES, TISSUE_PALETTE, TISSUES, draw_region
from atrous.data.synthetic.world import Diagnosis, TissueWorld, find_zones
from atrous.errors import ShapeError
from atrous.types import Size

TILE: Final = 256
"""Side of the tiles in a slide's files, pixels."""
SMALLEST_SLIDE: Final = 512
"""Pixels along the shorter side."""

_CHUNK: Final = 4
"""Tiles that are drawn at once."""
_CORE_WIDTH: Final = 1600
"""Of a needle core, pixels."""
_ZONE_STEP: Final = 128
"""Pixels between the places that zones are counted at."""
_LEAST_SHARE: Final = 0.15
"""Of the tissue, that a slide's diagnosis is seen in."""
_MAX_TRIES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideTruth:
    """What is known of a made slide."""

    diagnosis: Diagnosis
    """The worst of its zones, which take up 15 % of its tissue at least."""
    zone_shares: tuple[float, ...]
    """Share of the tissue that lies in zones of each diagnosis."""
    num_pixels: tuple[int, ...]
    """By tissue, at level 0."""
    mpp: tuple[float, float]
    """Micrometres per pixel, down and to the right."""

    def areas(self) -> dict[str, float]:
        """Square millimetres by the name of the tissue."""
        pixel = self.mpp[0] * self.mpp[1] / 1e6
        return {name: count * pixel for name, count in zip(TISSUES, self.num_pixels, strict=True)}

    def to_json(self) -> dict[str, object]:
        """All of it under plain names."""
        return {
            "diagnosis": DIAGNOSES[self.diagnosis],
            "zone_shares": dict(zip(DIAGNOSES, self.zone_shares, strict=True)),
            "num_pixels": dict(zip(TISSUES, self.num_pixels, strict=True)),
            "areas_mm2": self.areas(),
            "mpp": list(self.mpp),
        }


def make_slide_world(
    index: int, *, size: Size, seed: int = 0, diagnosis: Diagnosis | None = None
) -> TissueWorld:
    """The biopsy that lies on slide `index` of an endless set: up to three needle cores.

    Args:
        index: Which slide, from 0.
        size: `(H, W)` of level 0, pixels.
        seed: Of the whole set, from 0.
        diagnosis: Of the slide; if not given, the four take turns.

    Raises:
        ShapeError: If the size is not two lengths of at least SMALLEST_SLIDE.
    """
    if len(size) != 2 or min(size) < SMALLEST_SLIDE:
        raise ShapeError(
            f"The size {'x'.join(map(str, size))} is too small for a slide or has not two lengths; "
            f"expected H x W of at least {SMALLEST_SLIDE} x {SMALLEST_SLIDE}; give such a size."
        )
    rng = np.random.default_rng((seed, index, 0x511DE))
    sections = _cores(size, rng)
    if diagnosis is None:
        diagnosis = Diagnosis(index % len(Diagnosis))
    for _ in range(_MAX_TRIES):
        world = TissueWorld(
            seed=int(rng.integers(1 << 62)),
            diagnosis=diagnosis,
            is_mixed=True,
            sections=sections,
        )
        if zone_shares(world)[diagnosis] >= _LEAST_SHARE:
            return world
    raise AssertionError(f"no zones of {DIAGNOSES[diagnosis]} in {_MAX_TRIES} worlds")


def zone_shares(world: TissueWorld) -> tuple[float, ...]:
    """Share of a slide's tissue that lies in zones of each diagnosis."""
    counts = np.zeros(len(Diagnosis))
    for section in world.sections:
        top, left = (int(section.centre[axis] - section.half[axis]) for axis in range(2))
        height, width = (int(2 * section.half[axis]) + 1 for axis in range(2))
        region = Region(top=top, left=left, height=height, width=width)
        cells = cells_within(region, margin=0, pitch=_ZONE_STEP, seed=world.seed)
        counts += np.bincount(find_zones(world, cells).ravel(), minlength=len(Diagnosis))
    return tuple((counts / counts.sum()).tolist())


def _cores(size: Size, rng: np.random.Generator) -> tuple[Section, ...]:
    """Needle cores side by side along the longer axis."""
    long, short = (0, 1) if size[0] >= size[1] else (1, 0)
    num_cores = int(np.clip(size[short] // (1.6 * _CORE_WIDTH), 1, 3))
    lane = size[short] / num_cores
    sections = []
    for number in range(num_cores):
        centre, half = [0.0, 0.0], [0.0, 0.0]
        half[short] = min(_CORE_WIDTH, 0.75 * lane) / 2 * rng.uniform(0.85, 1)
        half[long] = 0.42 * size[long] * rng.uniform(0.85, 1)
        free = lane / 2 - half[short] - 0.05 * lane
        centre[short] = lane * (number + 0.5) + rng.uniform(-0.5, 0.5) * max(free, 0)
        centre[long] = size[long] * rng.uniform(0.48, 0.52)
        sections.append(Section(centre=(centre[0], centre[1]), half=(half[0], half[1])))
    return tuple(sections)


def num_tiles(size: Size) -> int:
    """Tiles that the finest level of a slide of `(H, W)` pixels has."""
    return ceil(size[0] / TILE) * ceil(size[1] / TILE)


def write_slide(
    image: Path,
    labels: Path,
    *,
    world: TissueWorld,
    size: Size,
    mpp: tuple[float, float] = (1.0, 1.0),
    advance: Callable[[int], None] | None = None,
) -> SlideTruth:
    """Write the part of a world from (0, 0) on as a pyramid, and its true tissues as another.

    Args:
        image: A TIFF file of JPEG tiles, which openslide opens with its mpp.
        labels: A TIFF file of class indices without loss, of the same levels.
        world: What is drawn.
        size: `(H, W)` of level 0, pixels.
        mpp: Micrometres per pixel, down and to the right; noted, not drawn by.
        advance: Called with the number of tiles that are done.

    Raises:
        DataError: If a file cannot be written.
        MissingExtraError: If the extra `slides` is not installed.
    """
    # Both come of one drawing: the labels, small as they are, wait on disk until it is done.
    with TemporaryFile(dir=labels.parent) as spool:
        drawing = _Drawing(world, size, spool)
        tiles = drawing.tiles(advance)
        write_pyramid(image, tiles, kind=drawing.photo, size=size, tile=TILE, mpp=mpp)
        write_pyramid(labels, drawing.spooled(), kind=drawing.labels, size=size, tile=TILE, mpp=mpp)
    return SlideTruth(
        diagnosis=world.diagnosis,
        zone_shares=zone_shares(world),
        num_pixels=tuple(drawing.num_pixels.tolist()),
        mpp=mpp,
    )


class _Drawing:
    """A slide that is drawn once, tile by tile, and what is kept of that.

    Args:
        world: What is drawn.
        size: `(H, W)` of level 0, pixels.
        spool: An empty file, which takes the labels.
    """

    def __init__(self, world: TissueWorld, size: Size, spool: IO[bytes]) -> None:
        self.photo = photo_tiles()
        self.labels = label_tiles(tile=TILE, palette=TISSUE_PALETTE)
        self.num_pixels = np.zeros(len(TISSUES), np.int64)
        self._world, self._size, self._spool = world, size, spool
        self._lengths: list[int] = []
        glass = np.rint(draw_stain(world.seed).glass).astype(np.uint8)
        self._glass = self.photo.encode(np.tile(glass, (TILE, TILE, 1)))
        self._no_tissue = self.labels.encode(np.zeros((TILE, TILE), np.uint8))

    def tiles(self, advance: Callable[[int], None] | None) -> Iterator[bytes]:
        """The picture, row by row; labels go to the spool, and pixels are counted."""
        columns = ceil(self._size[1] / TILE)
        for top in range(0, self._size[0], TILE):
            for first in range(0, columns, _CHUNK):
                number = min(_CHUNK, columns - first)
                pairs = self._chunk(top, first * TILE, number)
                if advance is not None:
                    advance(number)
                for photo, labels in pairs:
                    self._spool.write(labels)
                    self._lengths.append(len(labels))
                    yield photo

    def spooled(self) -> Iterator[bytes]:
        """The labels, row by row, once the picture is drawn."""
        self._spool.seek(0)
        for length in self._lengths:
            yield self._spool.read(length)

    def _chunk(self, top: int, left: int, number: int) -> list[tuple[bytes, bytes]]:
        """Some tiles of one row: picture and labels of each."""
        inside = (min(TILE, self._size[0] - top), min(number * TILE, self._size[1] - left))
        region = Region(top=top, left=left, height=TILE, width=number * TILE).grown(MARGIN)
        if not touches(self._world.sections, region):
            self.num_pixels[Tissue.BACKGROUND] += inside[0] * inside[1]
            return [(self._glass, self._no_tissue)] * number
        rgb, mask = draw_region(top, left, (TILE, number * TILE), world=self._world)
        counted = mask[: inside[0], : inside[1]].ravel()
        self.num_pixels += np.bincount(counted, minlength=len(TISSUES))
        windows = [slice(start, start + TILE) for start in range(0, number * TILE, TILE)]
        return [
            (
                self.photo.encode(np.ascontiguousarray(rgb[:, window])),
                self.labels.encode(mask[:, window]),
            )
            for window in windows
        ]


def write_slide_folder(
    root: str | Path,
    *,
    num_slides: int,
    size: Size,
    seed: int = 0,
    mpp: tuple[float, float] = (1.0, 1.0),
    advance: Callable[[int], None] | None = None,
) -> Path:
    """Write made slides and their truth, and give `root` back.

    `images/NAME.tif`, `masks/NAME.tif`, `labels.csv`, `classes.txt` and `label_names.txt` as in
    layout `joint_folder`, and `truth.json` with each slide's diagnosis, zones and areas.

    Args:
        root: The folder; made if it is not there.
        num_slides: How many; the four diagnoses take turns.
        size: `(H, W)` of each, in pixels.
        seed: Of the whole set, from 0.
        mpp: Micrometres per pixel, down and to the right.
        advance: Called with the number of tiles that are done.

    Raises:
        ShapeError: As `make_slide_world`.
        DataError: If the folder cannot be written in.
        MissingExtraError: If the extra `slides` is not installed.
    """
    root = Path(root)
    worlds = [make_slide_world(index, size=size, seed=seed) for index in range(num_slides)]
    photo_tiles()  # a missing extra is told before a folder is made
    make_folder(root / "images")
    make_folder(root / "masks")
    write_text(root / CLASSES_FILE, "".join(f"{name}\n" for name in TISSUES))
    write_text(root / LABEL_NAMES_FILE, "".join(f"{name}\n" for name in DIAGNOSES))
    truths = {}
    for index, world in enumerate(worlds):
        name = f"{index:03}"
        image, labels = (root / kind / f"{name}.tif" for kind in ("images", "masks"))
        truth = write_slide(image, labels, world=world, size=size, mpp=mpp, advance=advance)
        truths[name] = truth.to_json()
    lines = [f"{name},{truth['diagnosis']}\n" for name, truth in truths.items()]
    write_text(root / LABELS_FILE, "".join(["name,label\n", *lines]))
    write_text(root / "truth.json", json.dumps(truths, indent=1))
    return root
