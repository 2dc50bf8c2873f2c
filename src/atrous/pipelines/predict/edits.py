"""What `--background` and `--foreground` may be."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atrous.errors import DataError

if TYPE_CHECKING:
    from atrous.networks.card import Card
    from atrous.reports.photos.background import EditKind, Edits

_WORDS: "dict[str, EditKind]" = {"remove": "cutouts", "blur": "blurred"}


def checked_edits(
    card: "Card", backgrounds: Sequence[str], *, foreground: str | None, max_pixels: int
) -> "Edits | None":
    """What to make of the background of every image; None if nothing was asked for.

    Args:
        card: Of the network.
        backgrounds: Each `remove`, `blur`, or the file of a picture to put there.
        foreground: Name of the class to keep; None for the one that the card suggests.
        max_pixels: Larger pictures are refused.

    Raises:
        DataError: If the network gives no masks, a file is no picture, there are two of them, or
            the class to keep is not known.
        UnknownNameError: If no class has the name of the foreground.
    """
    from atrous.data.photos.read import read_rgb8
    from atrous.inference import foreground_class
    from atrous.reports.photos.background import Edits

    if not backgrounds:
        if foreground is not None:
            raise DataError(
                f"--foreground {foreground} was given without --background, which it is for; add "
                f"--background remove, blur or FILE."
            )
        return None
    if card.task == "classification":
        raise DataError(
            f"{card.name} gives labels, but --background needs masks; take a network for "
            f"segmentation, such as the shipped model people."
        )
    index = foreground_class(card, foreground)
    files = [text for text in dict.fromkeys(backgrounds) if text not in _WORDS]
    if len(files) > 1:
        raise DataError(
            f"--background names two pictures, {files[0]} and {files[1]}, but one folder holds one "
            f"of them; run twice, each with its own --out."
        )
    kinds = [_WORDS[text] for text in dict.fromkeys(backgrounds) if text in _WORDS]
    if not files:
        return Edits(foreground=index, kinds=tuple(kinds))
    if not Path(files[0]).is_file():
        raise DataError(
            f"--background is {files[0]!r}, expected remove, blur, or the file of a picture, and "
            f"there is no such file; check it."
        )
    picture = read_rgb8(files[0], max_pixels=max_pixels)
    return Edits(foreground=index, kinds=(*kinds, "replaced"), picture=picture)
