"""Made breast biopsies with known tissues and diagnosis: patches, regions of endless ones, folders.

The pictures look like tissue in haematoxylin and eosin at one micrometre a pixel, but nobody was
ill: shapes and textures are formulas. They are for tests, examples and for trying a recipe.

A patch's diagnosis is a rule over its true mask (`diagnose`), told by what a pathologist looks at:
whether there is malignant epithelium, and whether the stroma answers to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous._files import make_folder, write_atomically, write_text
from atrous.data.layouts.image_folder import LABEL_NAMES_FILE
from atrous.data.layouts.joint_folder import LABELS_FILE
from atrous.data.layouts.mask_folder import CLASSES_FILE
from atrous.data.synthetic.anatomy import Anatomy, Mask, Tissue, draw_anatomy
from atrous.data.synthetic.noise import Region
from atrous.data.synthetic.section import touches
from atrous.data.synthetic.stain import colour, draw_stain
from atrous.data.synthetic.textures import MARGIN, paint
from atrous.data.synthetic.world import Diagnosis, TissueWorld
from atrous.errors import DataError, ShapeError
from atrous.types import Size

TISSUES: Final = tuple(tissue.name.lower().replace("_", " ") for tissue in Tissue)
"""Class names by index, as in the breast-biopsy data set."""

DIAGNOSES: Final = ("benign", "atypia", "DCIS", "invasive")
"""Names of diagnoses by index, from the mildest to the worst."""

TISSUE_PALETTE: Final = (
    (255, 255, 255), (130, 0, 130), (0, 0, 130), (255, 150, 255), (150, 150, 255), (0, 255, 0),
    (255, 255, 0), (255, 0, 0),
)  # fmt: skip
"""Colours by class index, as in the breast-biopsy data set."""

SMALLEST_PATCH: Final = 64
"""Pixels along the shorter side; less shows too little tissue for a diagnosis."""

_NO_MALIGNANT: Final = 0.01
_NO_DESMOPLASTIC: Final = 0.05
_MOSTLY_DESMOPLASTIC: Final = 0.5

_MAX_TRIES: Final = 500
_FARTHEST: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissuePatch:
    """One picture and the truth about it."""

    rgb: NDArray[np.uint8]
    """`(H, W, 3)`."""
    mask: NDArray[np.uint8]
    """`(H, W)`, indices into `TISSUES`."""
    diagnosis: Diagnosis
    """An index into `DIAGNOSES`; `diagnose(mask)` gives it too."""


def draw_tissue(index: int, *, size: Size = (256, 256), seed: int = 0) -> TissuePatch:
    """Patch `index` of an endless set: the four diagnoses take turns, each patch of its own stain.

    The same `index`, `size` and `seed` give the same patch. Borderline patches are not drawn: see
    `is_clear`.

    Args:
        index: Which patch, from 0.
        size: `(H, W)` in pixels, each at least SMALLEST_PATCH.
        seed: Of the whole set, from 0.

    Raises:
        ShapeError: If the size is not two lengths of at least SMALLEST_PATCH.
    """
    _check_size(size)
    rng = np.random.default_rng((seed, index))
    diagnosis = Diagnosis(index % len(DIAGNOSES))
    world = TissueWorld(seed=int(rng.integers(1 << 62)), diagnosis=diagnosis)
    for _ in range(_MAX_TRIES):
        top, left = (int(value) for value in rng.integers(-_FARTHEST, _FARTHEST, 2))
        region = Region(top=top, left=left, height=size[0], width=size[1])
        anatomy = draw_anatomy(world, region.grown(MARGIN))
        mask = _centre(anatomy.mask)
        if is_clear(mask, diagnosis):
            return TissuePatch(rgb=_colour(anatomy, region, world), mask=mask, diagnosis=diagnosis)
    raise AssertionError(f"no clear patch of {DIAGNOSES[diagnosis]} in {_MAX_TRIES} places")


def _check_size(size: Size) -> None:
    if len(size) != 2 or min(size) < SMALLEST_PATCH:
        raise ShapeError(
            f"The size {'x'.join(map(str, size))} is too small for tissue or has not two lengths; "
            f"expected H x W of at least {SMALLEST_PATCH} x {SMALLEST_PATCH}; give such a size."
        )


def draw_region(
    top: int, left: int, size: Size, *, world: TissueWorld
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A rectangle of an endless biopsy: RGB `(H, W, 3)` and its mask `(H, W)`, both uint8.

    Rectangles drawn apart agree to the bit where they meet or overlap.

    Args:
        top: Row of the first pixel; may be negative.
        left: Column of the first pixel.
        size: `(H, W)` in pixels.
        world: The biopsy.
    """
    region = Region(top=top, left=left, height=size[0], width=size[1])
    if world.sections and not touches(world.sections, region.grown(MARGIN)):
        glass = np.rint(draw_stain(world.seed).glass).astype(np.uint8)
        return np.tile(glass, (*size, 1)), np.zeros(size, np.uint8)
    anatomy = draw_anatomy(world, region.grown(MARGIN))
    return _colour(anatomy, region, world), _centre(anatomy.mask)


def diagnose(mask: NDArray[np.integer]) -> Diagnosis:
    """The diagnosis that a mask of tissues stands for.

    - benign: malignant epithelium is less than 1 % of the pixels;
    - atypia: there is more, but less than 5 % of the stroma is desmoplastic;
    - DCIS: from 5 % to half of the stroma is desmoplastic;
    - invasive: more than half is.
    """
    malignant, desmoplastic = _shares(mask)
    if malignant < _NO_MALIGNANT:
        return Diagnosis.BENIGN
    if desmoplastic < _NO_DESMOPLASTIC:
        return Diagnosis.ATYPIA
    return Diagnosis.DCIS if desmoplastic <= _MOSTLY_DESMOPLASTIC else Diagnosis.INVASIVE


_IS_CLEAR: Final[dict[Diagnosis, Callable[[float, float, float], bool]]] = {
    Diagnosis.BENIGN: lambda benign, malignant, _: benign >= 0.04 and malignant == 0,
    Diagnosis.ATYPIA: lambda _, malignant, desmoplastic: malignant >= 0.04 and desmoplastic == 0,
    Diagnosis.DCIS: lambda _, malignant, desmoplastic: (
        malignant >= 0.04 and 0.1 <= desmoplastic <= 0.4
    ),
    Diagnosis.INVASIVE: lambda _, malignant, desmoplastic: (
        malignant >= 0.08 and desmoplastic >= 0.65
    ),
}


def is_clear(mask: NDArray[np.integer], diagnosis: Diagnosis) -> bool:
    """Whether a mask stands for a diagnosis and for no other, far from the borders of the rule.

    - benign: no malignant epithelium, and benign epithelium on 4 % of the pixels at least;
    - atypia: malignant epithelium on 4 % at least, no desmoplastic stroma;
    - DCIS: malignant epithelium on 4 % at least, 10 to 40 % of the stroma desmoplastic;
    - invasive: malignant epithelium on 8 % at least, 65 % of the stroma desmoplastic at least.
    """
    benign = float((mask == Tissue.BENIGN_EPITHELIUM).mean())
    return _IS_CLEAR[diagnosis](benign, *_shares(mask))


def _shares(mask: NDArray[np.integer]) -> tuple[float, float]:
    """Malignant epithelium of all pixels, desmoplastic of all stroma."""
    if mask.size == 0:
        raise DataError("The mask has no pixels; expected some; give a mask of a whole patch.")
    counts = np.bincount(mask.ravel(), minlength=len(Tissue))
    desmoplastic = counts[Tissue.DESMOPLASTIC_STROMA]
    stroma = desmoplastic + counts[Tissue.NORMAL_STROMA]
    return float(counts[Tissue.MALIGNANT_EPITHELIUM] / mask.size), float(
        desmoplastic / max(stroma, 1)
    )


def _centre(values: Mask) -> Mask:
    return np.ascontiguousarray(values[MARGIN:-MARGIN, MARGIN:-MARGIN])


def _colour(anatomy: Anatomy, region: Region, world: TissueWorld) -> NDArray[np.uint8]:
    """RGB of a region whose anatomy is known with a margin."""
    dyes = paint(anatomy, region.grown(MARGIN), seed=world.seed)
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return colour(
        draw_stain(world.seed), dyes.haematoxylin[inner], dyes.eosin[inner], dyes.red_cells[inner]
    )


def write_tissue_folder(
    root: str | Path,
    *,
    num_images: int,
    size: Size = (256, 256),
    seed: int = 0,
    split: str | None = None,
    first: int = 0,
    advance: Callable[[], None] | None = None,
) -> Path:
    """Write patches as layout `joint_folder`, and give `root` back.

    `images/NAME.png`, `masks/NAME.png` (palette images) and `labels.csv` come into `root`, or into
    its folder `split`; `classes.txt` and `label_names.txt` into `root`. `labels.csv` is written
    last, so that a folder that was left half done is not taken for a whole one.

    Args:
        root: The dataset's folder; made if it is not there.
        num_images: How many patches.
        size: `(H, W)` of each, in pixels.
        seed: Of the whole set, from 0.
        split: Part of the dataset, such as `train`.
        first: Index of the first patch; parts of one dataset take ranges that do not overlap.
        advance: Called after every patch.

    Raises:
        ShapeError: As `draw_tissue`.
        DataError: If the folder cannot be written in.
    """
    _check_size(size)
    root = Path(root)
    folder = root if split is None else root / split
    make_folder(folder / "images")
    make_folder(folder / "masks")
    write_text(root / CLASSES_FILE, "".join(f"{name}\n" for name in TISSUES))
    write_text(root / LABEL_NAMES_FILE, "".join(f"{name}\n" for name in DIAGNOSES))
    lines = ["name,label\n"]
    for index in range(first, first + num_images):
        patch = draw_tissue(index, size=size, seed=seed)
        mask = Image.fromarray(patch.mask)
        mask.putpalette([value for entry in TISSUE_PALETTE for value in entry])
        for kind, picture in (("images", Image.fromarray(patch.rgb)), ("masks", mask)):
            with write_atomically(folder / kind / f"{index:05}.png") as file:
                picture.save(file, "PNG")
        lines.append(f"{index:05},{DIAGNOSES[patch.diagnosis]}\n")
        if advance is not None:
            advance()
    write_text(folder / LABELS_FILE, "".join(lines))
    return root
