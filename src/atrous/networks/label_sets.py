"""The classes of the data sets that published weights were trained on: names and colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from atrous.types import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """Classes in the order of a network's logits."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]
    void_class: int | None = None
    """The class, if any, that stands for "none of the others" and that scores leave out."""


CAMVID: Final = LabelSet(
    names=(
        "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
        "Pedestrian", "Bicyclist", "Unlabelled",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222),
        (128, 128, 0), (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
        (0, 0, 0),
    ),
    void_class=11,
)  # fmt: skip

CITYSCAPES: Final = LabelSet(
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle", "background",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
        (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
        (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
        (0, 80, 100), (0, 0, 230), (119, 11, 32), (0, 0, 0),
    ),
    void_class=19,
)  # fmt: skip


def numbered_labels(num_classes: int) -> LabelSet:
    """Names and colours for classes that nobody has named: `class 0` and so on.

    The colours are those of Pascal VOC's map: bits of the index, spread over the channels.
    """
    return LabelSet(
        names=tuple(f"class {index}" for index in range(num_classes)),
        palette=tuple(voc_colour(index) for index in range(num_classes)),
    )


def voc_colour(index: int) -> Colour:
    """Colour of a class in Pascal VOC's map: bit 3i + c of the index is bit 7 - i of channel c.

    Example:
        >>> voc_colour(0), voc_colour(1), voc_colour(15)
        ((0, 0, 0), (128, 0, 0), (192, 128, 128))

    Source: Everingham et al., "The Pascal Visual Object Classes Challenge", development kit.
    """
    red, green, blue = (
        sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
        for channel in range(3)
    )
    return red, green, blue


VOC: Final = LabelSet(
    names=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
        "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "potted-plant",
        "sheep", "sofa", "train", "tv/monitor",
    ),
    palette=tuple(voc_colour(index) for index in range(21)),
)  # fmt: skip
"""Pascal VOC. Background is a class like the others: it is learned and scored."""

# Names in the order of the authors' papers, colours from their code. What the released patches show
# agrees for 0 and 2 to 6; 1 and 7 hardly occur there.
BREAST_BIOPSY: Final = LabelSet(
    names=(
        "background", "benign epithelium", "malignant epithelium", "normal stroma",
        "desmoplastic stroma", "secretion", "blood", "necrosis",
    ),
    palette=(
        (255, 255, 255), (130, 0, 130), (0, 0, 130), (255, 150, 255), (150, 150, 255), (0, 255, 0),
        (255, 255, 0), (255, 0, 0),
    ),
)  # fmt: skip
"""Tissues of breast biopsies, as Y-Net's masks number them."""

BRATS: Final = LabelSet(
    names=("background", "necrotic and non-enhancing core", "oedema", "enhancing tumour"),
    palette=((0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 0)),
)
"""Parts of brain tumours in BraTS 2018, whose label 4, enhancing tumour, is 3 here."""

LABEL_SETS: Final[Mapping[str, LabelSet]] = MappingProxyType(
    {
        "camvid": CAMVID,
        "cityscapes": CITYSCAPES,
        "voc": VOC,
        "breast_biopsy": BREAST_BIOPSY,
        "brats": BRATS,
    }
)
