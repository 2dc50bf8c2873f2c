"""What can be asked of `predict`, for each kind of file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from atrous.errors import DataError
from atrous.pipelines.option import check, option

MIN_REGION: Final = 20.0
"""µm²: less than the nucleus of a cell."""

Context = Literal["auto", "exact", "blended"]
CONTEXTS: Final = ("auto", "exact", "blended")
Frame = Literal["qupath", "level0"]
LabelIds = Literal["none", "cityscapes"]
FRAMES: Final = ("qupath", "level0")
MEMORY_HELP: Final = "Ceiling of memory, such as 2G; 4G if not given."
MPP_HELP: Final = "µm per pixel of level 0, where the file does not say it."
OVERRIDE_HELP: Final = "µm per pixel of level 0, in place of what files state."
IMAGE_HELP: Final = "Number of the image in files that hold several, from 1; the largest."
ICC_HELP: Final = "Turn colours into sRGB by the file's colour profile."
CONTEXT_HELP: Final = (
    "exact (halo by the receptive field), blended (Gaussian weights), or auto: exact where that "
    "can be paid for."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoOptions:
    """What can be asked of photos.

    Attributes:
        background: What to make of the background, each `remove`, `blur` or a picture's file.
        foreground: Name of the class to keep with `background`; None for the card's own.
        max_pixels: Larger images are refused before they are decoded; None for the usual limit.
        memory: Ceiling of memory, such as `2G`; None for 4 GB.
        label_ids: Also write masks of the ids that a benchmark's server takes, or `none`.
    """

    background: tuple[str, ...] = option(
        (),
        "Also remove or blur the background, or put a picture there: remove, blur, or FILE. May be "
        "given more than once.",
    )
    foreground: str | None = option(
        None, "The class to keep with --background; person if not given."
    )
    max_pixels: int | None = option(None, "Refuse larger images, before decoding them.", minimum=1)
    memory: str | None = option(None, MEMORY_HELP)
    label_ids: LabelIds = option(
        "none",
        "Also masks of the ids that a benchmark's server takes.",
        choices=("none", "cityscapes"),
    )

    def __post_init__(self) -> None:
        check(self)
        assert self.ceiling  # a text that is no memory is refused here

    @property
    def ceiling(self) -> int:
        """The ceiling of memory, bytes."""
        from atrous.inference.tiles.memory import DEFAULT, parse_memory

        return DEFAULT if self.memory is None else parse_memory(self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideOptions:
    """What can be asked of whole slides.

    Attributes:
        mpp: Micrometres per pixel of level 0, for slides that do not state it.
        override_mpp: The same, in place of what slides state.
        image: Number of the image in files that hold several, from 1; None for the largest.
        icc: Apply the colour profiles of files.
        at_mpp: Micrometres per pixel at which the network sees slides; None for the card's.
        memory: Ceiling of memory, such as `2G`; None for 4 GB.
        context: Exact tiles, blended ones, or exact where that can be paid for.
        tile: Side of a tile without its halo, pixels; None for as much as fits.
        all_tiles: Run the tiles without tissue too.
        tissue: Where tissue is, instead of looking for it: a GeoJSON file or a mask of any size, or
            a folder of such files by the slides' names.
        roi: Regions of interest, outside of which nothing is kept: a GeoJSON file, or a folder of
            such files by the slides' names.
        probabilities: Write the probabilities of every class too.
        min_region: Smaller regions get no polygon of their own, µm².
        frame: Where polygons count from, those written and those read: the corner of what QuPath
            shows of the slide, or that of level 0.
        omit: Classes that get no polygons.
        plan: Only say what would be done.
    """

    mpp: float | None = option(None, MPP_HELP, above=0)
    override_mpp: float | None = option(None, OVERRIDE_HELP, above=0)
    image: int | None = option(None, IMAGE_HELP, minimum=1)
    icc: bool = option(False, ICC_HELP)
    at_mpp: float | None = option(
        None, "µm per pixel the network sees; the card's, or level 0's.", above=0
    )
    memory: str | None = option(None, MEMORY_HELP)
    context: Context = option("auto", CONTEXT_HELP, choices=CONTEXTS)
    tile: int | None = option(None, "Side of a tile without its halo, pixels.", above=0)
    all_tiles: bool = option(False, "Run the glass too.")
    tissue: str | None = option(
        None, "Where tissue is: GeoJSON or a mask, or a folder of them by the slides' names."
    )
    roi: str | None = option(
        None, "Keep only what lies in these regions: GeoJSON, or a folder of it by slides' names."
    )
    probabilities: bool = option(False, "Write the probabilities of every class as a TIFF too.")
    min_region: float = option(MIN_REGION, "Smaller regions get no polygon, µm².", minimum=0)
    frame: Frame = option(
        "qupath",
        "Where polygons count from: qupath (what it shows: the slide's bounds), or level0.",
        choices=FRAMES,
    )
    omit: tuple[str, ...] = option(
        (), "A class that gets no polygons, such as background. May be given more than once."
    )
    plan: bool = option(False, "Only say tiles, minutes and memory.")

    def __post_init__(self) -> None:
        check(self)
        for file in (self.tissue, self.roi):
            if file is not None and not Path(file).exists():
                raise DataError(
                    f"{file} is not there; expected a file or a folder; check the path."
                )
        if self.memory is not None:
            from atrous.inference.tiles.memory import parse_memory

            parse_memory(self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOptions:
    """What can be asked of volumes.

    Attributes:
        memory: Ceiling of memory, such as `2G`; None for 4 GB.
        context: Exact parts, blended ones, or exact where that can be paid for.
        flip: Take the mean over mirroring, along the axes that the card names.
        allow_missing: Channels that have no file are zero.
        html: Also write a page for each scan.
        probabilities: Write the probabilities of every class too.
        bids: Write a BIDS derivative data set.
    """

    memory: str | None = option(None, MEMORY_HELP)
    context: Context = option("auto", CONTEXT_HELP, choices=CONTEXTS)
    flip: bool = option(False, "The mean over mirroring, along the axes that the card names.")
    allow_missing: bool = option(False, "Missing channels are zero.")
    html: bool = option(False, "Also a page to scroll through each.")
    probabilities: bool = option(False, "The probabilities of every class too, float32.")
    bids: bool = option(False, "Write a BIDS derivative data set.")

    def __post_init__(self) -> None:
        check(self)
