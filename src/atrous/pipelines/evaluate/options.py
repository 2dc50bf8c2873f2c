"""What can be asked of `evaluate`, for each kind of data."""

from dataclasses import dataclass
from typing import Literal

from atrous.pipelines.option import check, option
from atrous.pipelines.predict.options import (
    CONTEXT_HELP,
    CONTEXTS,
    FRAMES,
    ICC_HELP,
    IMAGE_HELP,
    MEMORY_HELP,
    MPP_HELP,
    OVERRIDE_HELP,
    Context,
)

AnyFrame = Literal["auto", "qupath", "level0"]

_CLASS_MAP_HELP = (
    "A class map between the data's classes and the network's: a TOML file, or "
    "cityscapes_on_camvid, imagenet_on_imagenette, voc_on_person."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScoring:
    """What can be asked of photos that are scored.

    Attributes:
        class_map: File or name of a class map between the data's classes and the network's.
        flip: Take the mean with the mirrored image.
        scales: Take the mean over these factors of the input's size, with commas between.
        boundary: Also score the boundaries of masks.
    """

    class_map: str | None = option(None, _CLASS_MAP_HELP)
    flip: bool = option(False, "The mean with the mirrored input; twice the time or more.")
    scales: str = option("1", "The mean over these factors of the input's size: 0.75,1,1.25.")
    boundary: bool = option(False, "Also score the boundaries, 2 % of the diagonal wide.")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideScoring:
    """What can be asked of whole slides that are scored.

    Attributes:
        class_map: File or name of a class map between the data's classes and the network's.
        memory: Ceiling of memory, such as `4G`; None for 4 GB.
        context: Exact tiles, blended ones, or exact where that can be paid for.
        tile: Side of a tile without its halo, pixels; None for as much as fits.
        mpp: Micrometres per pixel of level 0, for slides that do not state it.
        override_mpp: The same, in place of what slides state.
        image: Number of the image in files that hold several, from 1; None for the largest.
        icc: Apply the colour profiles of files.
        frame: Where the truth's polygons count from; `auto` to find out.
    """

    class_map: str | None = option(None, _CLASS_MAP_HELP)
    memory: str | None = option(None, MEMORY_HELP)
    context: Context = option("auto", CONTEXT_HELP, choices=CONTEXTS)
    tile: int | None = option(None, "Side of a tile without its halo, pixels.", above=0)
    mpp: float | None = option(None, MPP_HELP, above=0)
    override_mpp: float | None = option(None, OVERRIDE_HELP, above=0)
    image: int | None = option(None, IMAGE_HELP, minimum=1)
    icc: bool = option(False, ICC_HELP)
    frame: AnyFrame = option(
        "auto",
        "Where the truth's polygons count from: qupath (the slide's bounds), level0, or auto: find "
        "out.",
        choices=("auto", *FRAMES),
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeScoring:
    """What can be asked of volumes that are scored.

    Attributes:
        class_map: File or name of a class map between the data's classes and the network's; its
            first shared class is the background.
        flip: Take the mean over mirroring, along the axes that the card names.
        memory: Ceiling of memory, such as `4G`; None for 4 GB.
        context: Exact parts, blended ones, or exact where that can be paid for.
        displaced: Also tell whose truth would fit better moved by a voxel.
    """

    class_map: str | None = option(None, _CLASS_MAP_HELP)
    flip: bool = option(False, "The mean with the mirrored input; twice the time or more.")
    memory: str | None = option(None, MEMORY_HELP)
    context: Context = option("auto", CONTEXT_HELP, choices=CONTEXTS)
    displaced: bool = option(False, "Also tell whose truth would fit better moved by a voxel.")

    def __post_init__(self) -> None:
        check(self)
