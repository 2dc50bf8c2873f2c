"""Pascal VOC as its development kit unpacks: `VOCdevkit/VOC2012` with images, masks and lists."""

from pathlib import Path
from typing import Final

from atrous._documents import read_text
from atrous.data.layouts.pairs import Pair, PairedMasks
from atrous.errors import DataError, UnknownNameError

VOC_CLASSES: Final = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted-plant",
    "sheep",
    "sofa",
    "train",
    "tv/monitor",
)

_LISTS: Final = Path("ImageSets") / "Segmentation"
_IMAGES: Final = "JPEGImages"
_MASKS: Final = "SegmentationClass"
_IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


class VOC(PairedMasks):
    """Photos with 21 classes, background among them, in the folders of Pascal VOC.

    A split is a list of names, `ImageSets/Segmentation/SPLIT.txt`; the image is
    `JPEGImages/NAME.jpg`, the mask `SegmentationClass/NAME.png`, whose palette indices are the
    classes and 255 the outlines that nobody labelled.

    Args:
        root: The folder of one year (`VOC2012`), or one that holds it as the kit unpacks, at
            `VOC2012` or `VOCdevkit/VOC2012`.
        split: Name of a list, such as `train`, `val` or `trainval`.

    Raises:
        UnknownNameError: If there is no such list; the message names those there are.
        DataError: If the folders are not so, hold several years, or lack an image or a mask.

    Source: Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        year = _year(Path(root))
        splits = sorted(path.stem for path in (year / _LISTS).glob("*.txt"))
        if split not in splits:
            raise UnknownNameError("split", split, splits)
        super().__init__(
            _pairs(year, year / _LISTS / f"{split}.txt"),
            num_classes=len(VOC_CLASSES),
            class_names=VOC_CLASSES,
        )


def _year(root: Path) -> Path:
    """The folder that holds the lists: `root`, or the only one below it."""
    if any((root / _LISTS).glob("*.txt")):
        return root
    years = sorted(
        lists.parent.parent
        for pattern in ("*", "VOCdevkit/*")
        for lists in root.glob(f"{pattern}/{_LISTS.as_posix()}")
        if any(lists.glob("*.txt"))
    )
    if not years:
        raise DataError(
            f"{root}: no lists of images here; expected {_LISTS.as_posix()}/SPLIT.txt beside "
            f"{_IMAGES}/ and {_MASKS}/; name the folder of one year, such as VOCdevkit/VOC2012."
        )
    if len(years) > 1:
        found = ", ".join(year.relative_to(root).as_posix() for year in years)
        raise DataError(f"{root}: holds several years ({found}); expected one; name its folder.")
    return years[0]


def _pairs(year: Path, listed: Path) -> tuple[Pair, ...]:
    names = _names(listed)
    images = [_image(year / _IMAGES, name) for name in names]
    masks = [year / _MASKS / f"{name}.png" for name in names]
    for kind, found in (("image", images), ("mask", [m if m.is_file() else None for m in masks])):
        missing = [name for name, path in zip(names, found, strict=True) if path is None]
        if missing:
            folder = year / (_IMAGES if kind == "image" else _MASKS)
            raise DataError(
                f"{folder}: {len(missing)} of the {len(names)} names in {listed.name} have no "
                f"{kind} here, the first being {missing[0]!r}; expected one for every name; fetch "
                "the data anew, or name a split that has all."
            )
    return tuple(
        Pair(name=name, image=image, mask=mask)
        for name, image, mask in zip(names, images, masks, strict=True)
        if image is not None
    )


def _names(listed: Path) -> list[str]:
    try:
        lines = read_text(listed, encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{listed}: {error}; expected a name a line; fetch it anew.") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError(f"{listed}: lists no image; expected a name a line; name another split.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{listed}: lists {twice!r} more than once; expected every name once; remove one."
        )
    return names


def _image(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for suffix in _IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
