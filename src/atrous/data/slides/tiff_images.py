"""The images of a TIFF file, and which of them is the slide (extra `slides`).

Files hold macros and labels beside the slide, or several slides, in any order. The slide is the
largest image that can be read, and that neither its name, its scale nor the lack of coarser levels
makes an overview; what was chosen, and from what, is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from atrous._extras import require
from atrous.data.slides.parts import find_levels, is_mpp
from atrous.data.slides.tiff_pages import SUB_IFDS, Page
from atrous.errors import AtrousError, DataError

_UNITS: Final = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3}
"""Micrometres; µ has two code points."""
_DEFAULT_UNIT: Final = "µm"
_PER_RESOLUTION_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
"""Micrometres, by TIFF's number of the unit: inch, centimetre."""
_COLOURED: Final = (0, 1, 2, 3, 6)
"""TIFF's photometric interpretations that are read: grey of both senses, RGB, palette, YCbCr."""
_OVERVIEWS: Final = ("label", "macro", "thumbnail", "overview", "barcode")
"""In names of images that lie beside the slide."""
_COARSE: Final = 5.0
"""Micrometres per pixel, from which on an image is rather an overview of a slide."""
_PRIMARIES: Final = ({"r", "g", "b"}, {"red", "green", "blue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffImage:
    """One image of a file.

    Attributes:
        name: What the file calls it; empty where it does not.
        size: `(H, W)`, pixels.
        levels: The pages of each of its levels: one, or one for each of three colours.
        mpp: Micrometres per pixel, down and to the right; None where nothing says it.
        objective: Magnification; None where nothing says it.
        bits: That its values use; None where nothing says it.
        notes: What was chosen of its planes and channels.
        refusal: Why it cannot be read as a slide; None if it can.
    """

    name: str
    size: tuple[int, int]
    levels: tuple[tuple[Page, ...], ...] = ()
    mpp: tuple[float, float] | None = None
    objective: float | None = None
    bits: int | None = None
    notes: tuple[str, ...] = ()
    refusal: DataError | None = None


def find_images(path: Path, tiff: Any) -> list[TiffImage]:  # noqa: ANN401 - a TiffFile
    """All images of a file, those that cannot be read among them."""
    if tiff.is_ome:
        described = _ome_images(tiff)
        series = list(tiff.series)
        return [
            _image(path, one, ome=_description(described, series, number))
            for number, one in enumerate(series)
        ]
    if tiff.is_qpi or SUB_IFDS in tiff.pages[0].tags or len(tiff.series[0].levels) > 1:
        return [_image(path, one, ome=None) for one in tiff.series]
    return _plain_images(path, tiff)


def choose_image(
    path: Path, images: Sequence[TiffImage], wanted: int | None
) -> tuple[TiffImage, tuple[str, ...]]:
    """The image that is the slide, and what is to be said of the choice.

    Args:
        path: Their file.
        images: All of it.
        wanted: Its number, from 1; None for the one that is rather the slide.

    Raises:
        DataError: If there is none, or the one that is wanted cannot be read.
    """
    if wanted is not None and not 1 <= wanted <= len(images):
        raise DataError(
            f"{path}: image {wanted} of {len(images)}; expected 1 to {len(images)}: "
            f"{_listed(images)}; name one of them."
        )
    fit = [number for number, image in enumerate(images) if image.refusal is None]
    if wanted is not None:
        number = wanted - 1
    elif fit:
        plausible = [number for number in fit if is_mpp(images[number].mpp or (1.0, 1.0))]
        number = max(plausible or fit, key=lambda index: _rank(images[index]))
    else:
        number = max(range(len(images)), key=lambda index: prod(images[index].size))
    chosen = images[number]
    if chosen.refusal is not None:
        raise chosen.refusal
    notes = chosen.notes
    if len(images) > 1:
        notes = (
            f"image {number + 1} of {len(images)} is read, of {_listed(images)}; --image names "
            "another",
            *notes,
        )
    return chosen, notes


def _rank(image: TiffImage) -> tuple[bool, bool, bool, int]:
    """Greater for what is rather the slide: by name, scale, levels, and then by size."""
    is_overview = any(word in image.name.casefold() for word in _OVERVIEWS)
    is_fine = image.mpp is None or max(image.mpp) < _COARSE
    return not is_overview, is_fine, len(image.levels) > 1, prod(image.size)


def _listed(images: Sequence[TiffImage]) -> str:
    return ", ".join(
        f"{number} {image.name or 'unnamed'} {image.size[0]} x {image.size[1]}"
        for number, image in enumerate(images, 1)
    )


def _image(path: Path, series: Any, *, ome: dict[str, Any] | None) -> TiffImage:  # noqa: ANN401
    """One series of tifffile's; `ome` is its Image element, with the objective beside it."""
    pixels = {} if ome is None else _first(ome["Pixels"])
    shape = dict(zip(series.axes, series.shape, strict=True))
    known = TiffImage(
        name=str((ome or {}).get("Name") or series.name or ""),
        size=(int(shape.get("Y", 0)), int(shape.get("X", 0))),
    )
    try:
        levels = [_chosen_pages(level) for level in series.levels]
        pages = tuple(tuple(page.aspage() for page in found) for found, _ in levels)
        for of_level in pages:
            _check(path, of_level, series, pixels)
    except DataError as error:
        return TiffImage(name=known.name, size=known.size, refusal=error)
    except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
        # Of broken pages tifffile gives what it finds.
        refusal = DataError(f"{path}: image {known.name!r} cannot be read ({error}).")
        return TiffImage(name=known.name, size=known.size, refusal=refusal)
    notes = levels[0][1] + _channel_notes(pages[0], pixels)
    lengths = [_micrometres(pixels, axis) for axis in "YX"]
    mpp = None if None in lengths else (float(lengths[0] or 0), float(lengths[1] or 0))
    return TiffImage(
        name=known.name,
        size=known.size,
        levels=pages,
        mpp=mpp if ome is not None else tag_mpp(pages[0][0]),
        objective=(ome or {}).get("objective"),
        bits=None if pixels.get("SignificantBits") is None else int(pixels["SignificantBits"]),
        notes=notes,
    )


def _chosen_pages(level: Any) -> tuple[list[Page], tuple[str, ...]]:  # noqa: ANN401 - a series
    """The pages of one plane in the middle of a stack, at its first time."""
    axes = level.axes.removesuffix("S").removesuffix("YX")
    lengths = level.shape[: len(axes)]
    if prod(lengths) != len(level.pages):  # a page holds several planes
        return list(level.pages), ()
    pages = np.empty(len(level.pages), object)
    pages[:] = list(level.pages)
    pages = pages.reshape(lengths)
    notes: tuple[str, ...] = ()
    for number, (axis, length) in enumerate(zip(axes, lengths, strict=True)):
        if axis == "C":
            continue
        place = length // 2 if axis == "Z" else 0
        pages = pages.take([place], axis=number)
        if length > 1:
            notes += (f"plane {place + 1} of {length} along {axis} is read",)
    return list(pages.ravel()), notes


def _check(path: Path, pages: Sequence[Page], series: Any, pixels: dict[str, Any]) -> None:  # noqa: ANN401
    first = pages[0]
    if not first.is_tiled or first.tilelength is None:
        raise DataError(
            f"{path}: a TIFF in strips; expected tiles, which can be read one by one; write it "
            "anew with tiles of 256 x 256."
        )
    colours = len(pages) * first.samplesperpixel
    is_known = first.dtype in (np.uint8, np.uint16) and int(first.photometric) in _COLOURED
    if not is_known or colours not in (1, 3, 4) or len(pages) not in (1, 3):
        names = _channel_names(pixels)
        named = f" ({', '.join(names)})" if names else ""
        raise DataError(
            f"{path}: {colours} channels or planes of {first.dtype}{named}, along "
            f"{series.axes}; expected RGB or grey of 8 or 16 bits; export the slide as RGB."
        )


def _channel_names(pixels: dict[str, Any]) -> list[str]:
    channels = pixels.get("Channel", ())
    channels = channels if isinstance(channels, list | tuple) else [channels]
    return [str(channel["Name"]) for channel in channels if channel.get("Name")]


def _channel_notes(pages: Sequence[Page], pixels: dict[str, Any]) -> tuple[str, ...]:
    if len(pages) != 3:
        return ()
    names = _channel_names(pixels)
    if {name.lower() for name in names} in _PRIMARIES:
        return ()
    named = f" ({', '.join(names)})" if names else " without names"
    return (f"three channels{named} are taken for red, green and blue",)


def _plain_images(path: Path, tiff: Any) -> list[TiffImage]:  # noqa: ANN401 - a TiffFile
    """Of a chain of pages that no standard describes: the largest with its smaller copies."""
    pages = list(tiff.pages)
    tiled = [page for page in pages if page.is_tiled] or pages[:1]
    ordered = sorted(tiled, key=lambda page: -page.imagelength * page.imagewidth)
    main = ordered[0]
    levels: list[Page] = [main]
    others: list[Page] = []
    for page in ordered[1:]:
        alike = (page.dtype, page.samplesperpixel) == (main.dtype, main.samplesperpixel)
        last = levels[-1]
        is_smaller = page.imagelength < last.imagelength and page.imagewidth < last.imagewidth
        fits = alike and is_smaller and _is_copy(path, main, page)
        (levels if fits else others).append(page)
    found = [_plain_image(path, levels)]
    return [*found, *(_plain_image(path, [page]) for page in others)]


def _is_copy(path: Path, main: Page, page: Page) -> bool:
    sizes = [(each.imagelength, each.imagewidth) for each in (main, page)]
    try:
        find_levels(path, sizes)
    except AtrousError:
        return False
    return True


def _plain_image(path: Path, levels: Sequence[Page]) -> TiffImage:
    first = levels[0]
    size = (int(first.imagelength), int(first.imagewidth))
    try:
        for page in levels:
            _check(path, [page], first, {})
    except DataError as error:
        return TiffImage(name="", size=size, refusal=error)
    return TiffImage(
        name="", size=size, levels=tuple((page,) for page in levels), mpp=tag_mpp(first)
    )


def _ome_images(tiff: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a TiffFile
    """The Image elements of OME-XML, each with its objective's magnification."""
    ome = require("tifffile", extra="slides").xml2dict(tiff.ome_metadata)["OME"]
    images = ome["Image"]
    images = list(images) if isinstance(images, list | tuple) else [images]
    objective = _first(_first(ome.get("Instrument", {})).get("Objective", {}))
    if objective.get("NominalMagnification"):
        power = float(objective["NominalMagnification"])
        images = [{**image, "objective": power} for image in images]
    return images


def _description(
    images: Sequence[dict[str, Any]],
    series: Sequence[Any],
    number: int,
) -> dict[str, Any] | None:
    """The element of a series: of the same number, or the only one of its size."""
    if len(images) == len(series):
        return images[number]
    shape = dict(zip(series[number].axes, series[number].shape, strict=True))
    alike = []
    for image in images:
        pixels = _first(image["Pixels"])
        if (int(pixels["SizeY"]), int(pixels["SizeX"])) == (shape.get("Y"), shape.get("X")):
            alike.append(image)
    return alike[0] if len(alike) == 1 else {"Pixels": {}}


def _first(item: Any) -> Any:  # noqa: ANN401 - what XML holds
    return item[0] if isinstance(item, list | tuple) else item


def _micrometres(pixels: dict[str, Any], axis: str) -> float | None:
    length = pixels.get(f"PhysicalSize{axis}")
    unit = _UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", _DEFAULT_UNIT))
    return None if length is None or unit is None else float(length) * unit


def tag_mpp(page: Page) -> tuple[float, float] | None:
    """By the resolution tags, where they have a unit."""
    unit = _PER_RESOLUTION_UNIT.get(int(page.resolutionunit))
    right, down = page.resolution
    return None if unit is None or not (down and right) else (unit / down, unit / right)
