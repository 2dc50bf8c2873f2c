"""Objects as COCO's instances list them, as one mask of categories for each image."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atrous._documents import read_json
from atrous.data.layouts.coco_stuff import coco_images
from atrous.data.layouts.drawn import BACKGROUND, DrawnMasks, check_points, check_size, pairs_of
from atrous.data.layouts.pairs import Pair
from atrous.data.listing import natural_key
from atrous.data.photos.rasterise import Bitmap, decode_runs, fill_coco
from atrous.errors import DataError
from atrous.types import Size


class COCOInstances(DrawnMasks):
    """COCO's `annotations/instances_SPLIT.json` with the images in `SPLIT/` or `images/`.

    Classes are the background and then the categories by ascending id. Polygons and run lengths are
    filled as pycocotools fills them, in the order of the file, so that of two objects at one pixel
    the later is seen.

    Args:
        root: The data set's folder.
        split: Such as `val2017`.

    Raises:
        DataError: If files are missing, or the list cannot be read.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        listed = _json_path(root, split)
        categories, images, objects = _read(listed)
        folder = coco_images(root, split)
        missing = [name for name, *_ in images.values() if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"{folder}: {len(missing)} of the {len(images)} images that {listed.name} names "
                f"are not here, the first being {missing[0]!r}; expected all; unpack them."
            )
        ordered = sorted(images, key=lambda key: natural_key(Path(images[key][0])))
        pairs = pairs_of((folder / images[key][0] for key in ordered), listed)
        super().__init__(pairs, class_names=(BACKGROUND, *categories.values()))
        index_of = {key: number for number, key in enumerate(categories, 1)}
        self._stated = {folder / images[key][0]: images[key][1:] for key in ordered}
        self._objects = {
            folder / images[key][0]: [(index_of[c], parts) for c, parts in objects[key]]
            for key in ordered
        }

    def _areas(self, pair: Pair, size: Size) -> Iterator[tuple[int, Bitmap]]:
        check_size(pair.mask, self._stated[pair.image], size)
        for number, (index, segmentation) in enumerate(self._objects[pair.image], 1):
            place = f"{pair.mask}, object {number} of {pair.image.name}"
            yield index, _area(segmentation, size, place)


def _json_path(root: Path, split: str) -> Path:
    name = f"instances_{split}.json"
    places = (root / "annotations" / name, root / name)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise DataError(
            f"{root}: neither annotations/{name} nor {name} is here; expected one of them; check "
            "root and split."
        )
    return found


_Images = dict[int, tuple[str, object, object]]
_Objects = dict[int, list[tuple[int, Any]]]


def _read(listed: Path) -> tuple[dict[int, str], _Images, _Objects]:
    """Names of categories, ascending; names and sizes of images; their objects."""
    try:
        whole = read_json(listed)
        categories = {int(c["id"]): str(c["name"]) for c in whole["categories"]}
        images = {
            int(i["id"]): (str(i["file_name"]), i.get("height"), i.get("width"))
            for i in whole["images"]
        }
        objects: _Objects = defaultdict(list)
        for found in whole["annotations"]:
            objects[int(found["image_id"])].append(
                (int(found["category_id"]), found["segmentation"])
            )
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError
    ) as error:  # fmt: skip
        raise DataError(
            f"{listed}: {error!r}; expected COCO's instances, with images, annotations and "
            "categories; fetch it anew."
        ) from error
    strangers = {category for found in objects.values() for category, _ in found} - set(categories)
    if strangers or not images or not categories:
        raise DataError(
            f"{listed}: {len(images)} images, {len(categories)} categories, and objects of the "
            f"categories {sorted(strangers)[:4]}; expected images, and objects of its categories; "
            "fetch it anew."
        )
    return dict(sorted(categories.items())), images, objects


def _area(segmentation: Any, size: Size, place: str) -> Bitmap:  # noqa: ANN401 - of JSON
    if isinstance(segmentation, list):
        area = np.zeros(size, np.bool_)
        for polygon in segmentation:
            area |= fill_coco(check_points(polygon, place), size)
        return area
    counts = segmentation.get("counts") if isinstance(segmentation, dict) else None
    if not isinstance(counts, str | list) or not _are_whole(counts):
        raise DataError(f"{place}: neither polygons nor run lengths; expected these; mend it.")
    try:
        return decode_runs(counts, size)
    except (DataError, OverflowError) as error:
        raise DataError(f"{place}: {error}; mend it.") from error


def _are_whole(counts: str | list[Any]) -> bool:
    return isinstance(counts, str) or all(type(count) is int for count in counts)
