"""What the labels of the BraTS challenges mean: one key for a whole data set, never for a file.

The same number stands for other things in other years: 4 was the enhancing tumour until 2021, is
the resection cavity in scans after treatment, and the oedema of children.

Source: Menze et al., TMI 2015 (labels until 2015); Bakas et al., 2017 (2017 to 2021, regions); the
challenges' own pages for 2023 on.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous.data.volumes.read import read_mask_volume
from atrous.errors import DataError, UnknownNameError

logger = logging.getLogger(__name__)

BRATS_CHANNELS: Final = ("flair", "t1", "t1ce", "t2")
"""In the order of 3D-ESPNet; data that lacks some has the others in this order."""

BRATS_CLASSES: Final = ("background", "necrosis", "oedema", "enhancing tumour")

BRATS_REGIONS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
)
"""Whole tumour, tumour core, enhancing tumour, of our classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BraTSKey:
    """What is read out of a label file.

    Attributes:
        classes: Class indices by the labels in a file.
        class_names: One per class.
        regions: Unions of classes by name.
    """

    classes: Mapping[int, int]
    class_names: tuple[str, ...] = BRATS_CLASSES
    regions: Mapping[str, tuple[int, ...]]

    @property
    def in_words(self) -> str:
        """The labels with what they mean."""
        return ", ".join(f"{n} {self.class_names[i]}" for n, i in self.classes.items() if n)


BRATS_KEYS: Final[Mapping[str, BraTSKey]] = MappingProxyType(
    {
        # 3 is the core that does not enhance, which joins class 1, as the challenge did in 2017.
        "2015": BraTSKey(classes={0: 0, 1: 1, 2: 2, 3: 1, 4: 3}, regions=BRATS_REGIONS),
        "2017": BraTSKey(classes={0: 0, 1: 1, 2: 2, 4: 3}, regions=BRATS_REGIONS),
        "2023": BraTSKey(classes={0: 0, 1: 1, 2: 2, 3: 3}, regions=BRATS_REGIONS),
        "post_treatment": BraTSKey(
            classes={0: 0, 1: 1, 2: 2, 3: 3, 4: 4},
            class_names=(*BRATS_CLASSES, "resection cavity"),
            regions=MappingProxyType({**BRATS_REGIONS, "RC": (4,)}),
        ),
        "ped": BraTSKey(
            classes={0: 0, 1: 1, 2: 2, 3: 3, 4: 4},
            class_names=(
                *("background", "enhancing tumour", "non-enhancing tumour", "cystic component"),
                "oedema",
            ),
            regions=MappingProxyType({"WT": (1, 2, 3, 4), "TC": (1, 2, 3), "ET": (1,)}),
        ),
        "men_rt": BraTSKey(
            classes={0: 0, 1: 1},
            class_names=("background", "gross tumour volume"),
            regions=MappingProxyType({}),
        ),
    }
)
"""By challenge: until 2015; 2017 to 2021; 2023 on of gliomas, meningiomas, metastases and
sub-Saharan patients; gliomas after treatment (2024 on); children; radiotherapy of meningiomas."""

_BY_NAME: Final = (
    (re.compile(r"brats-ped-", re.IGNORECASE), "ped"),
    (re.compile(r"brats-men-rt-", re.IGNORECASE), "men_rt"),
    # Visits after treatment are numbered from 100 on.
    (re.compile(r"brats-gli-\d+-[1-9]\d\d", re.IGNORECASE), "post_treatment"),
    (re.compile(r"brats-(gli|men|met|ssa)-", re.IGNORECASE), "2023"),
    (re.compile(r"brats(17|18|19|20|2021)_", re.IGNORECASE), "2017"),
)
"""What the name of a patient's folder begins with."""
_FIVE_LABELS: Final = "otmulticlass"
"""In the names of label files of 2015."""


def brats_key(folder: Path, labels: Sequence[Path], *, name: str | None) -> BraTSKey:
    """The key of a data set.

    Args:
        folder: Of the data set, for messages.
        labels: Every patient's label file, each in the patient's own folder.
        name: In `BRATS_KEYS`, where the user says it.

    Raises:
        UnknownNameError: If there is no key of that name.
        DataError: If the patients are of several challenges, or nothing says which.
    """
    if name is not None:
        if name not in BRATS_KEYS:
            raise UnknownNameError("key of BraTS labels", name, BRATS_KEYS)
        return BRATS_KEYS[name]
    found = {_said_by_name(path): path for path in labels}
    if set(found) == {"post_treatment", "2023"}:  # visits before and after treatment
        return BRATS_KEYS["post_treatment"]
    if len(found) > 1:
        each = ", ".join(
            f"{path.parent.name} ({key or 'not known'})" for key, path in found.items()
        )
        raise DataError(
            f"{folder}: patients of several challenges, whose labels mean different things: "
            f"{each}; expected one challenge; part them into folders, or name one as the layout, "
            "such as brats_2023."
        )
    return BRATS_KEYS[next(iter(found)) or _said_by_labels(folder, labels)]


def _said_by_name(labels: Path) -> str | None:
    if _FIVE_LABELS in labels.name.lower():
        return "2015"
    patient = labels.parent.resolve().name
    return next((key for pattern, key in _BY_NAME if pattern.match(patient)), None)


def _said_by_labels(folder: Path, labels: Sequence[Path]) -> str:
    """The key by all labels of the data set together, where no name says it.

    Raises:
        DataError: If several keys would do.
    """
    held = {int(n) for path in labels for n in read_mask_volume(path).unique()} & {3, 4}
    if held == {3, 4}:
        raise DataError(
            f"{folder}: the labels 3 and 4 occur, and the patients' names do not say of which "
            "challenge they are; expected to know what 4 means; name the layout "
            "brats_2015 (4 enhances), brats_post_treatment (4 is the resection cavity) or "
            "brats_ped (4 is oedema)."
        )
    key = "2017" if held == {4} else "2023"
    logger.warning(
        "note: %s: labels are read as brats_%s (%s), by those found; name the layout to be sure",
        folder,
        key,
        BRATS_KEYS[key].in_words,
    )
    return key
