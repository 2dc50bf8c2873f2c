"""Slides and their truths paired by stem, in two folders or side by side."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from atrous.data.layouts.mask_folder import split_folder
from atrous.data.listing import SLIDE_SUFFIXES, images_in
from atrous.data.slides.labelled import GEOJSON_SUFFIXES, SlidePair
from atrous.errors import DataError

TIFF_SUFFIXES: Final = (".tif", ".tiff")
_SLIDES: Final = (*SLIDE_SUFFIXES, *TIFF_SUFFIXES)
_TRUTHS: Final = (*GEOJSON_SUFFIXES, *TIFF_SUFFIXES)
_OME: Final = ".ome"
_LABELS: Final = ".labels"


def pair_slides(
    root: Path, split: str | None
) -> tuple[Path, tuple[SlidePair, ...], tuple[str, ...]]:
    """The folder of a split, its slides with their truths, and the names of truths of no slide.

    Slides are in natural order of names.

    In `images/` and `masks/`, by stem; or all in one folder, where the truth of NAME.svs is
    NAME.geojson, NAME.svs.geojson, NAME.labels.tif or NAME.labels.ome.tif.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If there are no slides, or some have no truth, or two.
    """
    folder = _folder(root, split)
    if (folder / "images").is_dir():
        slides = _by_stem(folder / "images", _SLIDES)
        truths = _by_stem(folder / "masks", _TRUTHS)
        where = folder / "masks"
    else:
        every = _by_stem(folder, _SLIDES)
        slides = {stem: path for stem, path in every.items() if not stem.endswith(_LABELS)}
        truths = _beside(folder, every)
        where = folder
    if not slides:
        raise DataError(
            f"{folder}: no slides here; expected them in images/ and their label TIFFs or GeoJSON "
            "in masks/, or NAME.geojson beside each; check the path."
        )
    orphans = [path.name for stem, path in slides.items() if stem not in truths]
    if orphans:
        raise DataError(
            f"{where}: {len(orphans)} of {len(slides)} slides have no truth here, the first being "
            f"{orphans[0]!r}; expected a label TIFF or a GeoJSON of the same stem; add them or "
            "remove the slides."
        )
    pairs = (SlidePair(name=name, image=path, truth=truths[name]) for name, path in slides.items())
    lone = tuple(path.name for stem, path in truths.items() if stem not in slides)
    return folder, tuple(pairs), lone


def _folder(root: Path, split: str | None) -> Path:
    """Where the files lie: `root`, or `root/split`, whether in folders or side by side."""
    if split is not None and (root / split).is_dir():
        return root / split
    if split is None and not (root / "images").is_dir() and root.is_dir():
        has_slides = any(path.suffix.lower() in _SLIDES for path in root.iterdir())
        return root if has_slides else split_folder(root, split)
    return split_folder(root, split)


def _beside(folder: Path, every: dict[str, Path]) -> dict[str, Path]:
    """By the stem of the slide, truths that lie beside slides."""
    truths = _by_stem(folder, GEOJSON_SUFFIXES)
    for stem, path in every.items():
        if not stem.endswith(_LABELS):
            continue
        name = stem.removesuffix(_LABELS)
        if name in truths:
            raise DataError(
                f"{folder}: {truths[name].name!r} and {path.name!r} are both truths of {name!r}; "
                "expected one; remove the other."
            )
        truths[name] = path
    return truths


def _by_stem(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """Files by name without suffix and without the `.ome` before it."""
    by_stem: dict[str, Path] = {}
    for path in images_in(folder, suffixes=suffixes):
        stem = path.stem
        if path.suffix.lower() in GEOJSON_SUFFIXES and Path(stem).suffix.lower() in _SLIDES:
            stem = Path(stem).stem  # QuPath may export NAME.svs.geojson
        stem = stem.removesuffix(_OME)
        other = by_stem.setdefault(stem, path)
        if other is not path:
            raise DataError(
                f"{folder}: {other.name!r} and {path.name!r} share the stem {stem!r}; expected one "
                "file a stem, because stems pair slides with truths; rename one."
            )
    return by_stem
