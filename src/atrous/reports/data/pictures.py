"""Pictures of a data set for its page: samples with their masks, problems, augmented views."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from atrous.data.augment.photos import Augmentation, augment, sample_rng
from atrous.data.check.report import Problem
from atrous.data.dataset import Dataset
from atrous.data.photos.read import read_rgb8
from atrous.data.volumes.slice import slice_and_mask
from atrous.errors import DataError
from atrous.inference.overlay import outline
from atrous.networks.label_sets import LABEL_SETS, numbered_labels
from atrous.reports.volumes.picture import three_planes
from atrous.types import UNLABELLED, Colour

Pixels: TypeAlias = NDArray[np.uint8]

PICTURE_SIDE: Final = 300
"""Longer pictures are shrunk to this before they are put into the page."""

NUM_GALLERY: Final = 16
NUM_SHEETS: Final = 8
NUM_AUGMENTED: Final = 4
NUM_VIEWS: Final = 6
MAX_SHOWN: Final = 4
"""Problems of a kind that are shown, and images of a problem."""

TYPICAL: Final = Augmentation(
    scale=(0.75, 1.5), aspect=1.1, rotation=8.0, brightness=0.3, contrast=0.3, saturation=0.3,
    hue=0.03, blur=0.2, noise=0.02,
)  # fmt: skip
"""What is shown where no recipe says how to augment."""

_BRIGHT: Final[tuple[Colour, ...]] = (
    (70, 130, 230), (230, 60, 60), (60, 180, 90), (240, 170, 40), (160, 80, 220), (40, 190, 200),
    (240, 110, 190), (150, 110, 60), (140, 200, 40),
)  # fmt: skip
"""For the first classes of data whose colours are not published; dark ones are lost in photos."""

_SHOWN_KINDS: Final = (
    "duplicate_across",
    "contradiction",
    "near_across",
    "duplicate_within",
    "near_within",
    "unlabelled_image",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of the page."""

    caption: str
    source: str
    """A data URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Pictures that belong together."""

    text: str
    pictures: tuple[Picture, ...]


def class_colours(samples: Dataset) -> tuple[Colour | None, ...]:
    """By class: the published colours of known classes, else ones that stand out in photos.

    None for the background, which is shown as it is: a first class of that name or without one.
    """
    if not samples.has_masks:
        return ()
    names = samples.class_names
    others = numbered_labels(samples.num_classes).palette
    palette = (*_BRIGHT, *others[len(_BRIGHT) :])[: samples.num_classes]
    for labels in LABEL_SETS.values():
        if names and labels.names[: len(names)] == names:
            palette = labels.palette[: len(names)]
    if names is None or names[0].lower() == "background":
        return (None, *palette[1:])
    return palette


def gallery(samples: Dataset, *, left_out: frozenset[str]) -> tuple[Picture, ...]:
    """Samples from all over the data set, every label among them where images have labels."""
    usable = [index for index, name in enumerate(samples.names) if name not in left_out]
    if samples.has_labels:
        usable = _by_turns(usable, samples.labels)[:NUM_GALLERY]
        chosen = sorted(usable, key=lambda index: (samples.labels[index], index))
    else:
        chosen = _spread(usable, NUM_GALLERY)
    return tuple(_picture(samples, index) for index in chosen)


def sheets(samples: Dataset, *, left_out: frozenset[str]) -> tuple[Picture, ...]:
    """Scans from all over the data set: three planes each, classes outlined."""
    usable = [index for index, name in enumerate(samples.names) if name not in left_out]
    names = samples.class_names or tuple(f"class {i}" for i in range(samples.num_classes))
    palette = [colour or (0, 0, 0) for colour in class_colours(samples)]
    pictures = []
    for index in _spread(usable, NUM_SHEETS):
        volume, mask = samples.volume_and_mask(index)
        labels = mask.masked_fill(mask == UNLABELLED, 0).numpy().astype(np.uint8)
        picture = three_planes(
            volume.array[0], labels, spacing=volume.spacing, names=names, palette=palette
        )
        source = _embedded(np.asarray(picture))
        pictures.append(Picture(caption=samples.names[index], source=source))
    return tuple(pictures)


def problem_rows(
    problems: Sequence[Problem], samples: Dataset, others: Mapping[str, Dataset]
) -> dict[str, list[Row]]:
    """By kind, the first problems that can be seen, each with its images side by side."""
    layouts = {"": samples, **others}
    index_of = {
        split: {name: index for index, name in enumerate(layout.names)}
        for split, layout in layouts.items()
    }
    rows: dict[str, list[Row]] = {}
    for kind in _SHOWN_KINDS:
        found = [problem for problem in problems if problem.kind == kind][:MAX_SHOWN]
        for problem in found:
            pictures = []
            for position, name in enumerate(problem.names[:MAX_SHOWN]):
                is_other = position > 0 and kind.endswith("_across")
                split, _, bare = name.partition(":") if is_other else ("", "", name)
                pictures.append(_picture(layouts[split], index_of[split][bare], split=split))
            rows.setdefault(kind, []).append(Row(text=problem.text, pictures=tuple(pictures)))
    return rows


def augmented_rows(
    samples: Dataset, augmentation: Augmentation, *, left_out: frozenset[str], seed: int = 0
) -> list[Row]:
    """A few samples, each followed by views as training sees them."""
    usable = [index for index, name in enumerate(samples.names) if name not in left_out]
    colours = class_colours(samples)
    rows = []
    for index in _spread(usable, NUM_AUGMENTED):
        rgb, mask = _read(samples, index)
        if augmentation.size is None:  # views of a size of their own may be made of a small image
            rgb, mask = _shrunk(rgb, mask)
        image = torch.from_numpy(rgb).permute(2, 0, 1)
        truth = None if mask is None else torch.from_numpy(mask)
        pictures = [Picture(caption="as it is", source=_embedded(_drawn(rgb, mask, colours)))]
        for epoch in range(NUM_VIEWS):
            rng = sample_rng(seed, epoch=epoch, index=index)
            view, seen = augment(image, truth, augmentation, rng)
            pixels = _drawn(
                view.permute(1, 2, 0).numpy(), None if seen is None else seen.numpy(), colours
            )
            pictures.append(Picture(caption=f"view {epoch + 1}", source=_embedded(pixels)))
        rows.append(Row(text=samples.names[index], pictures=tuple(pictures)))
    return rows


def _embedded(pixels: Pixels) -> str:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="WEBP", quality=75)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


def _picture(samples: Dataset, index: int, *, split: str = "") -> Picture:
    try:
        rgb, mask = _read(samples, index)
    except DataError:  # only its mask: an image that cannot be read is like no other
        rgb, mask = _read_image(samples, index), None
    caption = f"{split}:{samples.names[index]}" if split else samples.names[index]
    if samples.has_labels:
        label = samples.label_names[samples.labels[index]]
        caption += "" if caption.startswith(f"{label}/") else f" ({label})"
    return Picture(caption=caption, source=_embedded(_drawn(rgb, mask, class_colours(samples))))


def _read_image(samples: Dataset, index: int) -> Pixels:
    if samples.kind == "volumes":
        return slice_and_mask(samples.volume(index), None)[0]
    return read_rgb8(samples.files(index)[0])


def _read(samples: Dataset, index: int) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Image `(H, W, 3)` and, where there are masks, classes and 255 `(H, W)`."""
    if samples.kind == "volumes":
        rgb, flat = slice_and_mask(*samples.volume_and_mask(index))
        return rgb, None if flat is None else flat.numpy().astype(np.uint8)
    if samples.has_masks:
        rgb, mask = samples.rgb8_and_mask(index)
        return rgb, mask.numpy().astype(np.uint8)
    return samples.rgb8(index), None


def _drawn(rgb: Pixels, mask: NDArray[np.uint8] | None, colours: Sequence[Colour | None]) -> Pixels:
    """A small picture: classes tinted and outlined in their colours, the unlabelled hatched."""
    # Shrunk before the outlines are drawn, which would otherwise be lost between pixels.
    pixels, classes = _shrunk(rgb, mask)
    if classes is None:
        return pixels
    shown = np.array([colour is not None for colour in colours] + [False] * (256 - len(colours)))
    table = np.array([colour or (0, 0, 0) for colour in colours], np.uint8).reshape(-1, 3)
    table = np.concatenate([table, np.zeros((256 - len(table), 3), np.uint8)])
    is_shown = shown[classes]
    painted = table[classes]
    pixels[is_shown] = (0.6 * pixels[is_shown] + 0.4 * painted[is_shown]).astype(np.uint8)
    edges = is_shown & _both_sides(classes)
    pixels[edges] = painted[edges]
    rows, columns = np.indices(classes.shape)
    hatched = (classes == UNLABELLED) & ((rows + columns) % 6 < 2)
    pixels[hatched] = 255
    return pixels


def _shrunk(rgb: Pixels, mask: NDArray[np.uint8] | None) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Image and mask, their longer side at most that of a picture of the page."""
    picture = Image.fromarray(rgb)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    if mask is None:
        return np.array(picture), None
    small = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
    return np.array(picture), np.array(small)


def _both_sides(classes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """True where any of the four neighbours is of another class."""
    edges = outline(classes)
    edges[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    edges[1:] |= classes[1:] != classes[:-1]
    return edges


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """At most `count` of them, evenly apart, the first and the last among them.

    Example:
        >>> _spread(range(10, 20), 4)
        [10, 13, 16, 19]
    """
    if len(indices) <= count:
        return list(indices)
    return [indices[round(step * (len(indices) - 1) / (count - 1))] for step in range(count)]


def _by_turns(indices: Sequence[int], labels: Sequence[int]) -> list[int]:
    """The first of every label, then the second of every label, and so on.

    Example:
        >>> _by_turns([0, 1, 2, 3], labels=[0, 0, 0, 1])
        [0, 3, 1, 2]
    """
    turn: dict[int, int] = {}
    keyed = []
    for index in indices:
        label = labels[index]
        turn[label] = turn.get(label, -1) + 1
        keyed.append((turn[label], label, index))
    return [index for _, _, index in sorted(keyed)]
