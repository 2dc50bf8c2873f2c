"""Layouts by name: how a command line or a recipe says what a folder looks like inside."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from atrous.data.class_map import read_class_map
from atrous.data.combine import Remapped, Subset, subset_indices
from atrous.data.dataset import Dataset
from atrous.data.layouts.ade20k import ADE20K
from atrous.data.layouts.brats import BraTS
from atrous.data.layouts.brats_keys import BRATS_KEYS
from atrous.data.layouts.breast_biopsy import BreastBiopsy
from atrous.data.layouts.camvid import CamVid
from atrous.data.layouts.cityscapes import Cityscapes
from atrous.data.layouts.coco_instances import COCOInstances
from atrous.data.layouts.coco_panoptic import COCOPanoptic
from atrous.data.layouts.coco_stuff import COCOStuff, COCOStuffOnly
from atrous.data.layouts.cvat import CVAT
from atrous.data.layouts.decathlon import Decathlon
from atrous.data.layouts.image_folder import ImageFolder
from atrous.data.layouts.joint_folder import JointFolder
from atrous.data.layouts.labelme import Labelme
from atrous.data.layouts.mask_folder import BinaryFolder, MaskFolder
from atrous.data.layouts.name_list import read_names
from atrous.data.layouts.nnunet import NnUNet
from atrous.data.layouts.slides import Slides
from atrous.data.layouts.voc import VOC
from atrous.data.layouts.volume_folder import VolumeFolder
from atrous.data.layouts.yolo_seg import YOLOSeg
from atrous.data.slides.parts import SlideReading
from atrous.errors import DataError, UnknownNameError
from atrous.recipes import resolve
from atrous.types import UNLABELLED, Kind, Size


class LayoutFactory(Protocol):
    """The signature every layout has here, so that names are interchangeable."""

    def __call__(self, root: Path, *, split: str | None, num_classes: int | None) -> Dataset: ...


class _OpenSplit(Protocol):
    """A layout that knows its classes, and is kept in splits."""

    def __call__(self, root: Path, *, split: str) -> Dataset: ...


class _OpenMaybeSplit(Protocol):
    """A layout that knows its classes, and may be kept in splits."""

    def __call__(self, root: Path, *, split: str | None) -> Dataset: ...


class _OpenCounted(Protocol):
    """A layout that may be told its number of classes, and may be kept in splits."""

    def __call__(self, root: Path, *, num_classes: int | None, split: str | None) -> Dataset: ...


def _in_splits(name: str, open_split: _OpenSplit) -> LayoutFactory:
    """`open_split` with the signature of all, and an answer for those who name no split."""

    def open_named(root: Path, *, split: str | None) -> Dataset:
        if split is None:
            raise DataError(
                f"{root}: layout {name!r} is kept in splits, but none was named; "
                "expected one such as 'val'; name it."
            )
        return open_split(root, split=split)

    return _known(open_named)


def _known(open_layout_: _OpenMaybeSplit) -> LayoutFactory:
    def open_named(
        root: Path,
        *,
        split: str | None,
        num_classes: int | None,  # noqa: ARG001 - one signature for all
    ) -> Dataset:
        return open_layout_(root, split=split)

    return open_named


def _counted(open_layout_: _OpenCounted) -> LayoutFactory:
    def open_named(root: Path, *, split: str | None, num_classes: int | None) -> Dataset:
        return open_layout_(root, num_classes=num_classes, split=split)

    return open_named


LAYOUTS: Final[Mapping[str, LayoutFactory]] = MappingProxyType(
    {
        "ade20k": _in_splits("ade20k", ADE20K),
        "binary_folder": _known(BinaryFolder),
        "brats": _known(BraTS),
        **{f"brats_{key}": _known(partial(BraTS, key=key)) for key in BRATS_KEYS},
        "breast_biopsy": _known(BreastBiopsy),
        "camvid": _in_splits("camvid", CamVid),
        "cityscapes": _in_splits("cityscapes", Cityscapes),
        "coco_instances": _in_splits("coco_instances", COCOInstances),
        "coco_panoptic": _in_splits("coco_panoptic", COCOPanoptic),
        "coco_stuff": _in_splits("coco_stuff", COCOStuff),
        "coco_stuff_only": _in_splits("coco_stuff_only", COCOStuffOnly),
        "cvat": _known(CVAT),
        "decathlon": _known(Decathlon),
        "image_folder": _known(ImageFolder),
        "joint_folder": _counted(JointFolder),
        "labelme": _known(Labelme),
        "mask_folder": _counted(MaskFolder),
        "nnunet": _known(NnUNet),
        "slides": _counted(Slides),
        "voc": _in_splits("voc", VOC),
        "volume_folder": _counted(VolumeFolder),
        "yolo_seg": _known(YOLOSeg),
    }
)


def kind_of_layout(name: str) -> Kind:
    """What the data of a layout are, by its name in `LAYOUTS`."""
    if name in ("decathlon", "nnunet", "volume_folder") or name.startswith("brats"):
        return "volumes"
    return "slides" if name == "slides" else "photos"


def open_layout(
    name: str,
    root: str | Path,
    *,
    split: str | None = None,
    num_classes: int | None = None,
    subset: str | Path | None = None,
    remap: str | Path | None = None,
    mpp: float | None = None,
    patch_size: Size | None = None,
    reading: SlideReading | None = None,
) -> Dataset:
    """Open a dataset on disk by the name of its layout; files are listed at once, read later.

    Whether it has masks, labels of whole images or both depends on the layout: `Dataset.require`
    says so, and refuses the rest.

    Args:
        name: One of `LAYOUTS`.
        root: The dataset's folder.
        split: Which part. Layouts of published data sets need it, those that end in `_folder` take
            it where `root` is so divided.
        num_classes: How many classes masks may hold, for layouts that cannot know: `mask_folder`
            and `joint_folder` need it unless there is a `classes.txt`, the others leave it aside.
        subset: A text file of sample names, one per line, or `recipe:splits/NAME`; blank lines and
            those that begin with `#` are passed over. The samples are these, in this order.
        remap: A class map (`read_class_map`) by which the classes of masks, or labels where there
            are no masks, are renamed, merged and dropped. A layout that does not know its classes
            then takes any, and what the map leaves out is unlabelled.
        mpp: Of slides: micrometres per pixel at which they are read; None for each one's own.
        patch_size: Of slides: `(H, W)` of their patches, pixels; None for 512 x 512. Of them a
            subset lists slides, not patches.
        reading: Of slides: how their files are read.

    Raises:
        UnknownNameError: If there is no such layout, split, or class that the map names.
        DataError: If the folder is not laid out so, the subset lists what it does not hold, or the
            map cannot be read.
    """
    if name not in LAYOUTS:
        raise UnknownNameError("layout", name, LAYOUTS)
    class_map = None if remap is None else read_class_map(remap)
    allowed = num_classes if class_map is None else UNLABELLED
    layout = LAYOUTS[name](Path(root), split=split, num_classes=allowed)
    if layout.kind == "slides":
        listed = None if subset is None else read_names(resolve(subset))
        layout = layout.read_at(mpp=mpp, patch_size=patch_size, names=listed, reading=reading)
    elif subset is not None:
        layout = Subset(layout, subset_indices(layout.names, resolve(subset)))
    return layout if class_map is None else Remapped(layout, class_map)
