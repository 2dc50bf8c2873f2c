"""Look at every sample of a data set before it is trained on, and say all that is wrong."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.check.duplicates import equal_groups, near_groups, near_pairs
from atrous.data.check.inspect import ImageSummary, SampleSummary, summarise_image, summarise_sample
from atrous.data.check.report import ERROR_KINDS, DataReport, Problem
from atrous.data.check.volumes import VolumeSurvey, spacing_text, survey
from atrous.data.dataset import Dataset
from atrous.data.layouts.mask_folder import BinaryFolder, MaskFolder
from atrous.data.listing import is_unread_picture, natural_key
from atrous.data.photos.read import num_bands
from atrous.data.prefetch import prefetch
from atrous.errors import DataError

MAX_COMPARED_WITHIN: Final = 200_000
"""In larger sets images that are nearly the same are not looked for: it would take too long."""

_MAX_SHOWN: Final = 4


def _nothing() -> None: ...


def check_layout(
    layout: Dataset,
    *,
    against: Mapping[str, Dataset] | None = None,
    num_workers: int = 2,
    advance: Callable[[], None] = _nothing,
) -> DataReport:
    """Read every sample once and report what the data holds and what is wrong with it.

    Nothing is raised for a broken sample: it becomes an error of the report, and the rest is
    looked at. `raise_on_errors` turns them into an exception.

    Args:
        layout: The data.
        against: Other splits by name, which should share no image with it; of these only the
            images are read.
        num_workers: Threads that read ahead.
        advance: Called after every image, of the others too, for a progress bar.

    Raises:
        DataError: If the layout holds no sample.
    """
    if not len(layout):
        raise DataError("The data holds no sample; expected some; check the folder or the subset.")
    looks: list[SampleSummary] = []
    for look in prefetch(
        lambda item: summarise_sample(layout, *item),
        enumerate(layout.names),
        num_workers=num_workers,
    ):
        looks.append(look)
        advance()
    problems = [look.problem for look in looks if look.problem]
    problems += _of_classes(layout, looks)
    problems += _of_spacing(looks)
    problems += _left_out(layout)
    problems += _duplicates_within(layout, looks)
    mine = [look.image for look in looks if look.image]
    for split, other in (against or {}).items():
        images = prefetch(
            partial(_image_at, other), enumerate(other.names), num_workers=num_workers
        )
        problems += _duplicates_across(mine, split, _advancing(images, advance), len(other))
    return _report(layout, looks, problems)


def _image_at(layout: Dataset, item: tuple[int, str]) -> ImageSummary | None:
    index, name = item
    return summarise_image(layout, index, name)


def _advancing(
    images: Iterator[ImageSummary | None], advance: Callable[[], None]
) -> Iterator[ImageSummary | None]:
    for image in images:
        yield image
        advance()


def _report(
    layout: Dataset, looks: Sequence[SampleSummary], problems: Sequence[Problem]
) -> DataReport:
    sound = [look for look in looks if look.problem is None]
    images = [look.image for look in sound if look.image]
    pixels = _class_pixels(layout, sound)
    sizes = Counter(image.size for image in images)
    volumes = _survey(layout, sound)
    labelled = layout if layout.has_labels else None
    label_counts = Counter(labelled.labels) if labelled else Counter()
    label_names = labelled.label_names if labelled else ()
    return DataReport(
        num_images=len(looks),
        content=_content(layout, looks),
        class_names=layout.class_names if layout.has_masks else None,
        class_pixels=tuple(pixels.sum(axis=0)[:-1].tolist()),
        class_images=tuple((pixels > 0).sum(axis=0)[:-1].tolist()),
        unlabelled_pixels=int(pixels[:, -1].sum()),
        label_names=label_names,
        label_images=tuple(label_counts[index] for index in range(len(label_names))),
        sizes=tuple(sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0]))),
        num_grey=0 if volumes else sum(image.is_grey for image in images),
        errors=tuple(problem for problem in problems if problem.kind in ERROR_KINDS),
        warnings=tuple(problem for problem in problems if problem.kind not in ERROR_KINDS),
        volumes=volumes,
    )


def _survey(layout: Dataset, looks: Sequence[SampleSummary]) -> VolumeSurvey | None:
    scans = [(look.volume, look.image.size) for look in looks if look.volume and look.image]
    if not scans or layout.kind != "volumes":
        return None
    return survey(
        [scan for scan, _ in scans],
        [size for _, size in scans],
        _class_pixels(layout, looks)[:, :-1],
        channel_names=layout.channel_names,
    )


def _class_pixels(layout: Dataset, looks: Sequence[SampleSummary]) -> NDArray[np.int64]:
    """Pixels by sample and class, the unlabelled last: `(N, num_classes + 1)`."""
    num_classes = layout.num_classes if layout.has_masks else 0
    rows = [look.class_pixels for look in looks if look.class_pixels is not None]
    return np.stack(rows) if rows else np.zeros((0, num_classes + 1), np.int64)


def _of_classes(layout: Dataset, looks: Sequence[SampleSummary]) -> list[Problem]:
    problems: list[Problem] = []
    if layout.has_labels:
        used = set(layout.labels)
        missing = [name for index, name in enumerate(layout.label_names) if index not in used]
        problems += _never("label_never", "labels", missing, len(layout.label_names))
    if not layout.has_masks:
        return problems
    with_masks = [look for look in looks if look.class_pixels is not None]
    pixels = _class_pixels(layout, looks)
    problems += [
        Problem(
            kind="unlabelled_image",
            names=(look.name,),
            text=f"{look.name}: no pixel is labelled, so nothing can be learned from it.",
        )
        for look, row in zip(with_masks, pixels, strict=True)
        if not row[:-1].any()
    ]
    if with_masks and not pixels[:, :-1].any():
        text = "No pixel of any image is labelled; expected classes in the masks."
        return [*problems, Problem(kind="nothing_labelled", names=(), text=text)]
    names = layout.class_names or tuple(f"class {index}" for index in range(layout.num_classes))
    missing = [
        name for name, count in zip(names, pixels[:, :-1].sum(axis=0), strict=True) if not count
    ]
    return problems + _never("class_never", "classes", missing, layout.num_classes)


def _of_spacing(looks: Sequence[SampleSummary]) -> list[Problem]:
    scans = [(look.name, look.volume.spacing) for look in looks if look.volume]
    counts = Counter(spacing for _, spacing in scans)
    if len(counts) < 2:
        return []
    usual, _ = max(counts.items(), key=lambda entry: (entry[1], entry[0]))
    names = tuple(name for name, spacing in scans if spacing != usual)
    shown = ", ".join(names[:_MAX_SHOWN]) + (", …" if len(names) > _MAX_SHOWN else "")
    text = f"{shown}: {len(names)} of {len(scans)} have another spacing than "
    return [Problem(kind="other_spacing", names=names, text=f"{text}{spacing_text(usual)} mm.")]


def _left_out(layout: Dataset) -> list[Problem]:
    """Pictures beside the samples that no layout sees, since their format is not read."""
    folders = sorted({layout.files(index)[0].parent for index in range(len(layout))})
    names = tuple(
        entry.name
        for folder in folders
        for entry in sorted(folder.iterdir(), key=natural_key)
        if is_unread_picture(entry)
    )
    problems = []
    if names:
        shown = _some(names)
        text = f"{len(names)} pictures are left out ({shown}); save them as JPEG, PNG or TIFF."
        problems.append(Problem(kind="left_out", names=names, text=text))
    masks = layout.unpaired_masks() if isinstance(layout, MaskFolder | BinaryFolder) else ()
    if masks:
        shown = _some(masks)
        text = f"{len(masks)} masks have no image ({shown}); add the images, if they are meant."
        problems.append(Problem(kind="left_out", names=masks, text=text))
    bands = tuple(
        layout.names[index]
        for index in range(len(layout))
        if layout.kind == "photos"
        and layout.num_channels == _RGB
        and num_bands(layout.files(index)[0]) > _RGB
    )
    if bands:
        shown = _some(bands)
        text = f"{len(bands)} images have more channels than red, green and blue ({shown}), of "
        text += "which the others are not read."
        problems.append(Problem(kind="left_out", names=bands, text=text))
    return problems


_RGB: Final = 3


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_SHOWN]) + (", …" if len(names) > _MAX_SHOWN else "")


def _never(kind: str, what: str, missing: Sequence[str], total: int) -> list[Problem]:
    if not missing:
        return []
    text = f"{len(missing)} of {total} {what} never occur: {', '.join(missing)}."
    return [Problem(kind=kind, names=(), text=text)]


def _duplicates_within(layout: Dataset, looks: Sequence[SampleSummary]) -> list[Problem]:
    pairs = [(index, look.image) for index, look in enumerate(looks) if look.image is not None]
    images = [image for _, image in pairs]
    labels = layout.labels if layout.has_labels else None
    problems = []
    for group in equal_groups(images):
        indices = [pairs[member][0] for member in group]
        names = tuple(looks[index].name for index in indices)
        known = {looks[i].mask_digest for i in indices if looks[i].problem is None}
        differ = len(known) > 1 or (labels and len({labels[index] for index in indices}) > 1)
        problems.append(
            Problem(
                kind="contradiction" if differ else "duplicate_within",
                names=names,
                text=f"{' = '.join(names)}: the same image"
                + (", with different masks or labels." if differ else "."),
            )
        )
    if len(images) <= MAX_COMPARED_WITHIN:
        problems += [_near_within([images[i].name for i in g]) for g in near_groups(images)]
    return problems


def _near_within(names: Sequence[str]) -> Problem:
    shown = " ~ ".join(names) if len(names) <= _MAX_SHOWN else f"{names[0]} ~ … ~ {names[-1]}"
    return Problem(
        kind="near_within",
        names=tuple(names),
        text=f"{shown}: {len(names)} images that look nearly the same.",
    )


def _duplicates_across(
    mine: Sequence[ImageSummary], split: str, others: Iterator[ImageSummary | None], num_others: int
) -> list[Problem]:
    theirs = [image for image in others if image is not None]
    problems = []
    if len(theirs) < num_others:
        text = f"{num_others - len(theirs)} images of {split} cannot be read or compared."
        problems.append(Problem(kind="other_unreadable", names=(), text=text))
    by_digest = {image.digest: image.name for image in reversed(theirs)}  # the first name wins
    problems += [
        Problem(
            kind="duplicate_across",
            names=(image.name, f"{split}:{by_digest[image.digest]}"),
            text=f"{image.name} is the same image as {by_digest[image.digest]} of {split}.",
        )
        for image in mine
        if image.digest in by_digest
    ]
    return problems + [
        Problem(
            kind="near_across",
            names=(mine[first].name, f"{split}:{theirs[second].name}"),
            text=f"{mine[first].name} looks nearly the same as {theirs[second].name} of {split}.",
        )
        for first, second in near_pairs(mine, theirs)
    ]


def _content(layout: Dataset, looks: Sequence[SampleSummary]) -> str:
    labels = layout.labels if layout.has_labels else (None,) * len(looks)
    digest = hashlib.blake2b(digest_size=16)
    for look, label in zip(looks, labels, strict=True):
        pixels = look.image.digest.hex() if look.image else ""
        digest.update(repr((look.name, pixels, look.mask_digest.hex(), label)).encode())
    return digest.hexdigest()
