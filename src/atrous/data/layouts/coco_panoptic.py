"""COCO panoptic: photos whose segments are colours of a PNG, named in one JSON file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous._documents import read_json
from atrous.data.dataset import MaskValueError
from atrous.data.layouts.coco_stuff import coco_images
from atrous.data.layouts.pairs import Pair, PairedMasks
from atrous.data.listing import natural_key
from atrous.data.photos.raster import open_raster
from atrous.errors import DataError
from atrous.types import UNLABELLED

_MAX_SHOWN: Final = 8


class COCOPanoptic(PairedMasks):
    """Photos with the classes that `panoptic_SPLIT.json` lists: 133 in COCO 2017.

    Images are `SPLIT/NAME.jpg` or `images/SPLIT/NAME.jpg`; the JSON file is
    `annotations/panoptic_SPLIT.json` or `panoptic_SPLIT.json`, and the folder `panoptic_SPLIT` of
    PNG files lies beside it or in `root`. The colour of a pixel gives its segment's id,
    `R + 256 G + 256² B`; the JSON gives the segment's category. Classes are the categories in the
    order of their ids. Id 0 is unlabelled; crowds count as their category.

    Only classes are read: which instance a pixel belongs to is left aside. Images that the JSON
    does not annotate are left out.

    Args:
        root: Folder that holds the images and the annotations.
        split: `train2017` or `val2017`.

    Raises:
        DataError: If the folders are not so, the JSON is not of this kind, or an annotated image
            or its PNG is missing.

    Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019; the format from COCO's data page.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        listed = _json_path(root, split)
        record = _read(listed)
        categories = sorted(record.categories.items())
        super().__init__(
            _pairs(record, coco_images(root, split), _png_folder(root, listed), listed),
            num_classes=len(categories),
            class_names=tuple(name for _, name in categories),
        )
        self._json = listed
        self._segments = _segments(record, [key for key, _ in categories], listed)
        self._index_of = {pair.name: index for index, pair in enumerate(self.pairs)}

    def files(self, index: int) -> tuple[Path, ...]:
        """Where the image, the PNG and the JSON of sample `index` lie."""
        return (*super().files(index), self._json)

    def _read_classes(self, pair: Pair) -> Tensor:
        ids, classes = self._segments.of(self._index_of[pair.name])
        painted = _segment_ids(pair.mask)
        # Row 0 stands for id 0, which means unlabelled; segments follow in the order of ids.
        at = np.minimum(np.searchsorted(ids, painted), len(ids) - 1)
        is_wrong = ids[at] != painted
        if is_wrong.any():
            strangers = np.unique(painted[is_wrong])
            raise MaskValueError(
                f"{pair.mask}: holds {len(strangers)} segments that {self._json.name} does not "
                f"list for it, the first being {strangers[0]}; expected the ids in segments_info; "
                "fetch both anew.",
                values=tuple(strangers[:_MAX_SHOWN].tolist()),
            )
        return torch.from_numpy(classes[at].astype(np.int64))


class _Annotation(NamedTuple):
    image_file: str
    mask_file: str
    segments: list[tuple[int, int]]
    """Id and category id of each."""


class _Record(NamedTuple):
    categories: dict[int, str]
    annotations: list[_Annotation]


class _Segments(NamedTuple):
    """Ids and classes of the segments of all images in three arrays: quick to send to workers."""

    ids: NDArray[np.int64]
    classes: NDArray[np.uint8]
    starts: NDArray[np.int64]

    def of(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Ascending ids of an image, from 0 (unlabelled) on, and the class of each."""
        part = slice(self.starts[index], self.starts[index + 1])
        return self.ids[part], self.classes[part]


def _json_path(root: Path, split: str) -> Path:
    name = f"panoptic_{split}.json"
    places = (root / "annotations" / name, root / name)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise DataError(
            f"{root}: neither annotations/{name} nor {name} is here; expected one of them; unpack "
            "the panoptic annotations into this folder, or check root and split."
        )
    return found


def _png_folder(root: Path, listed: Path) -> Path:
    folder = listed.with_suffix("")
    places = (folder, root / folder.name)
    found = next((path for path in places if path.is_dir()), None)
    if found is None:
        raise DataError(
            f"{folder}: no such folder; expected the PNG files of {listed.name}; unpack "
            f"{folder.name}.zip, which lies in the archive of annotations."
        )
    return found


def _read(listed: Path) -> _Record:
    try:
        whole = read_json(listed)
        file_of = {image["id"]: image["file_name"] for image in whole["images"]}
        return _Record(
            categories={category["id"]: category["name"] for category in whole["categories"]},
            annotations=sorted(
                (
                    _Annotation(
                        image_file=file_of[annotation["image_id"]],
                        mask_file=annotation["file_name"],
                        segments=[(s["id"], s["category_id"]) for s in annotation["segments_info"]],
                    )
                    for annotation in whole["annotations"]
                ),
                key=lambda annotation: natural_key(Path(annotation.image_file)),
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{listed}: {error!r}; expected COCO's panoptic format, with images, annotations and "
            "categories; fetch it anew."
        ) from error


def _pairs(record: _Record, images: Path, masks: Path, listed: Path) -> tuple[Pair, ...]:
    if not record.annotations:
        raise DataError(f"{listed}: annotates no image; expected some; name another split.")
    for folder, files in (
        (images, [annotation.image_file for annotation in record.annotations]),
        (masks, [annotation.mask_file for annotation in record.annotations]),
    ):
        present = {path.name for path in folder.iterdir()}
        missing = [file for file in files if file not in present]
        if missing:
            raise DataError(
                f"{folder}: {len(missing)} of the {len(files)} files that {listed.name} names are "
                f"not here, the first being {missing[0]!r}; expected all; unpack the whole archive."
            )
    names = [Path(annotation.image_file).stem for annotation in record.annotations]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{listed}: annotates {twice!r} more than once; expected once; fetch it anew."
        )
    return tuple(
        Pair(name=name, image=images / annotation.image_file, mask=masks / annotation.mask_file)
        for name, annotation in zip(names, record.annotations, strict=True)
    )


def _segments(record: _Record, category_ids: Sequence[int], listed: Path) -> _Segments:
    class_of = {category_id: index for index, category_id in enumerate(category_ids)}
    ids: list[int] = []
    classes: list[int] = []
    starts = [0]
    for annotation in record.annotations:
        unknown = [key for _, key in annotation.segments if key not in class_of]
        if unknown:
            raise DataError(
                f"{listed}: {annotation.mask_file} has a segment of category {unknown[0]}; "
                "expected one of its categories; fetch it anew."
            )
        ordered = sorted((segment, class_of[key]) for segment, key in annotation.segments)
        ids += [0, *(segment for segment, _ in ordered)]
        classes += [UNLABELLED, *(index for _, index in ordered)]
        starts.append(len(ids))
    return _Segments(
        ids=np.array(ids, np.int64),
        classes=np.array(classes, np.uint8),
        starts=np.array(starts, np.int64),
    )


def _segment_ids(path: Path) -> NDArray[np.int64]:
    image = open_raster(path)
    if image.mode != "RGB":
        raise DataError(
            f"{path}: pixels of mode {image.mode!r}; expected RGB, whose colour is the segment's "
            "id; fetch it anew."
        )
    red, green, blue = np.moveaxis(np.asarray(image).astype(np.int64), 2, 0)
    return red + 256 * green + 256 * 256 * blue
