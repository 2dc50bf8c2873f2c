"""What a check of a data set found: its classes and sizes, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

from atrous.data.check.volumes import VolumeSurvey, survey_from_record, survey_record
from atrous.errors import DataError
from atrous.types import Size

ERROR_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unreadable": "cannot be read",
        "mask_size": "the mask's size is not the image's",
        "mask_value": "the mask holds values that are no class",
        "nothing_labelled": "nothing is labelled at all",
        "duplicate_across": "the same image is in another split",
    }
)
"""What stops a training, with a title for people."""

WARNING_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unlabelled_image": "no pixel is labelled",
        "class_never": "classes that never occur",
        "label_never": "labels that never occur",
        "left_out": "what lies there and is not read",
        "contradiction": "the same image, labelled differently",
        "duplicate_within": "the same image more than once",
        "near_across": "nearly the same image is in another split",
        "near_within": "nearly the same image more than once",
        "other_spacing": "volumes of another spacing than most",
        "other_unreadable": "images of another split that cannot be compared",
    }
)
"""What deserves a look, with a title for people."""

_MAX_LISTED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    """A key of `ERROR_KINDS` or `WARNING_KINDS`."""
    names: tuple[str, ...]
    """The samples it concerns, as `SPLIT:NAME` where they are of another split."""
    text: str
    """A sentence that stands for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What was found in a data set by looking at every sample.

    Samples with an error count in `num_images` alone: not among pixels, classes and sizes.
    """

    num_images: int
    content: str
    """Hash over names, decoded pixels, masks and labels: equal wherever the data is equal."""
    class_names: tuple[str, ...] | None
    """None where the layout names none."""
    class_pixels: tuple[int, ...]
    """By class; empty where there are no masks."""
    class_images: tuple[int, ...]
    """How many images hold the class at all."""
    unlabelled_pixels: int
    label_names: tuple[str, ...]
    """Of whole images; empty where there are none."""
    label_images: tuple[int, ...]
    sizes: tuple[tuple[Size, int], ...]
    """`(H, W)`, of volumes `(D, H, W)`, and how many images have it, most frequent first."""
    num_grey: int
    """Images whose three channels are equal; 0 of volumes."""
    errors: tuple[Problem, ...]
    """What stops a training."""
    warnings: tuple[Problem, ...]
    volumes: VolumeSurvey | None = None
    """What volumes are like besides."""

    @property
    def num_read(self) -> int:
        """How many images could be used."""
        return sum(count for _, count in self.sizes)

    @property
    def num_pixels(self) -> int:
        """Pixels of masks, labelled or not."""
        return sum(self.class_pixels) + self.unlabelled_pixels

    def class_label(self, index: int) -> str:
        """What to call a class."""
        return self.class_names[index] if self.class_names else f"class {index}"

    def class_share(self, index: int) -> float:
        """Part of the labelled pixels that are of a class."""
        return self.class_pixels[index] / max(1, sum(self.class_pixels))

    @property
    def unlabelled_share(self) -> float:
        """Part of all pixels that nobody labelled."""
        return self.unlabelled_pixels / max(1, self.num_pixels)


def raise_on_errors(report: DataReport, *, source: str) -> None:
    """Do nothing if the data has no errors; warnings are let pass.

    Args:
        report: What the check found.
        source: What to call the data in the message.

    Raises:
        DataError: If there are errors: how many, and the first of them.
    """
    if not report.errors:
        return
    shown = report.errors[:_MAX_LISTED]
    listed = " ".join(f"({number}) {problem.text}" for number, problem in enumerate(shown, 1))
    further = len(report.errors) - len(shown)
    more = f" And {further} more." if further else ""
    raise DataError(
        f"{source}: {len(report.errors)} errors in {report.num_images} images; expected none. "
        f"{listed}{more} Correct or leave out these files (a subset file does); "
        "`atrous data` lists all."
    )


def to_record(report: DataReport) -> dict[str, Any]:
    """The report as plain values for JSON, as docs/json.md promises them."""
    return {
        "images": report.num_images,
        "read": report.num_read,
        "content": report.content,
        "classes": [
            {
                "name": report.class_label(index),
                "pixels": pixels,
                "share": round(report.class_share(index), 6),
                "images": report.class_images[index],
            }
            for index, pixels in enumerate(report.class_pixels)
        ],
        "has_class_names": report.class_names is not None,
        "unlabelled": {
            "pixels": report.unlabelled_pixels,
            "share": round(report.unlabelled_share, 6),
        },
        "labels": [
            {"name": name, "images": count}
            for name, count in zip(report.label_names, report.label_images, strict=True)
        ],
        "sizes": [{"size": list(size), "images": count} for size, count in report.sizes],
        "grey": report.num_grey,
        **({} if report.volumes is None else {"volumes": survey_record(report.volumes)}),
        "errors": [asdict(problem) for problem in report.errors],
        "warnings": [asdict(problem) for problem in report.warnings],
    }


def from_record(record: Mapping[str, Any]) -> DataReport:
    """The report that `to_record` made plain.

    Raises:
        KeyError, TypeError: If the record is another.
    """
    classes = record["classes"]
    names = tuple(entry["name"] for entry in classes)
    return DataReport(
        num_images=record["images"],
        content=record["content"],
        class_names=names if record["has_class_names"] else None,
        class_pixels=tuple(entry["pixels"] for entry in classes),
        class_images=tuple(entry["images"] for entry in classes),
        unlabelled_pixels=record["unlabelled"]["pixels"],
        label_names=tuple(entry["name"] for entry in record["labels"]),
        label_images=tuple(entry["images"] for entry in record["labels"]),
        sizes=tuple((tuple(entry["size"]), entry["images"]) for entry in record["sizes"]),
        num_grey=record["grey"],
        errors=tuple(_problem(entry) for entry in record["errors"]),
        warnings=tuple(_problem(entry) for entry in record["warnings"]),
        volumes=survey_from_record(record["volumes"]) if "volumes" in record else None,
    )


def _problem(entry: Mapping[str, Any]) -> Problem:
    return Problem(kind=entry["kind"], names=tuple(entry["names"]), text=entry["text"])
