"""What a `dataset.json` says, of the Medical Segmentation Decathlon and of nnU-Net alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atrous._documents import read_json
from atrous.errors import DataError

FILE_NAME: Final = "dataset.json"
_BACKGROUND: Final = "background"
_IGNORE: Final = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """Channels, classes and regions of a data set."""

    channel_names: tuple[str, ...]
    num_classes: int
    class_names: tuple[str, ...] | None
    """None where labels are said by regions only."""
    regions: Mapping[str, tuple[int, ...]]
    """Unions of classes by name; maybe none."""
    ignored: int | None
    """The label that means unlabelled."""


def read_dataset_json(root: Path) -> dict[str, Any]:
    """The object in `root/dataset.json`.

    Raises:
        DataError: If it cannot be read, or is no object.
    """
    path = root / FILE_NAME
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: {error}; expected the data set's description as JSON; check the path."
        ) from error
    if not isinstance(record, dict):
        raise DataError(f"{path}: no JSON object; expected the data set's description; mend it.")
    return record


def dataset_facts(record: Mapping[str, Any], *, path: Path) -> DatasetFacts:
    """Read the parts that both kinds have: `modality` or `channel_names`, and `labels`.

    Channels may be one name, a list, or numbers to names. Labels are a list of names, numbers to
    names (`{"1": "tumour"}`), names to numbers (`{"tumour": 1}`), or names to
    several numbers, which are regions (`{"whole tumour": [1, 2, 3]}`). A label named `ignore` is
    the unlabelled.

    Raises:
        DataError: If one is missing, or labels are not numbered 0, 1, 2, ….
    """
    channels = _numbered(record.get("channel_names", record.get("modality")))
    labels = _numbered(record.get("labels"))
    if not isinstance(channels, dict) or not channels or not isinstance(labels, dict) or not labels:
        raise DataError(
            f"{path}: no 'channel_names' (or 'modality') and 'labels'; expected an object of each; "
            "add them."
        )
    values_of = _values_of(labels, path)
    ignored = values_of.pop(_IGNORE, (None,))[0]
    values = sorted({value for values in values_of.values() for value in values})
    if values != list(range(len(values))):
        raise DataError(
            f"{path}: the labels are {values}; expected 0, 1, 2 and so on, 0 for the background; "
            "number them anew."
        )
    plain = {found[0]: name for name, found in values_of.items() if len(found) == 1}
    has_regions = any(len(found) > 1 for found in values_of.values())
    regions = {name: found for name, found in values_of.items() if found != (0,)}
    return DatasetFacts(
        channel_names=tuple(str(channels[key]) for key in sorted(channels, key=_number)),
        num_classes=len(values),
        class_names=None if has_regions else tuple(plain[value] for value in values),
        regions=regions if has_regions else {},
        ignored=ignored,
    )


def _numbered(value: object) -> object:
    """One name, or a list of names, as the object of numbers to names that others write."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return {str(index): name for index, name in enumerate(value)}
    return value


def _values_of(labels: Mapping[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """The numbers that each name stands for."""
    found: dict[str, tuple[int, ...]] = {}
    for key, value in labels.items():
        if str(key).isdecimal() and isinstance(value, str):
            found[value] = (int(key),)
            continue
        numbers = value if isinstance(value, list) else [value]
        try:
            found[str(key)] = tuple(int(number) for number in numbers)
        except (TypeError, ValueError, OverflowError):
            found[str(key)] = ()
        if not found[str(key)]:
            raise DataError(
                f"{path}: label {key!r} is {value!r}; expected a number or a list of numbers; "
                "mend it."
            )
    return found


def _number(key: object) -> int:
    return int(str(key)) if str(key).isdecimal() else -1
