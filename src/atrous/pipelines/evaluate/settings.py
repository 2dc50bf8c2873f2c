"""What a score was reached by: input, averaging, class map; and how numbers are printed."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous.data.class_map import ClassMap
    from atrous.inference.tta import Averaging
    from atrous.networks.card import Card

MAX_SHOWN = 3
"""Classes beside the shared ones that are named before the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How a network is scored, besides the protocol.

    Attributes:
        averaging: Which inputs of one image the mean is taken over.
        class_map: Between the network's classes and the data's; None where they are the same.
        remap: Name of the class map that the data was read by, if any.
        has_boundary: Also score the boundaries of masks.
        html: Where to write the page; None for nowhere.
        classes_note: How the data's classes became the network's, where that is to be said.
    """

    averaging: "Averaging"
    class_map: "ClassMap | None"
    remap: str | None
    has_boundary: bool
    html: Path | None
    classes_note: str | None = None

    def record(self, card: "Card") -> dict[str, object]:
        """The settings as docs/json.md promises them."""
        size = card.preprocessing.size
        return {
            "class_map": self.class_map and self.class_map.name,
            "remap": self.remap,
            "input_size": None if size is None else list(size),
            "flip": self.averaging.has_flip,
            "scales": list(self.averaging.scales),
            **({} if self.classes_note is None else {"classes_note": self.classes_note}),
        }

    def lines(self, card: "Card") -> list[str]:
        """These settings as lines below the one that names the protocol."""
        lines = [f"input: {describe_input(card)}"]
        if self.classes_note is not None:
            lines.append(self.classes_note)
        if self.remap is not None:
            lines.append(f"data in the classes of {self.remap}")
        if self.class_map is not None:
            names = card.class_names
            table = self.class_map.network_table(names)
            shared = self.class_map.classes
            left = [name for name, to in zip(names, table, strict=True) if to == len(shared)]
            shown = ", ".join(left[:MAX_SHOWN])
            rest = f" and {len(left) - MAX_SHOWN} more" if len(left) > MAX_SHOWN else ""
            wrong = f"; always wrong: {shown}{rest}" if left else ""
            lines.append(f"class map {self.class_map.name}: {len(shared)} shared classes{wrong}")
        return lines

    def notes(self, card: "Card") -> list[str]:
        """As `lines`, for a page, whose protocol stands alone."""
        return [f"the mean {self.averaging}"] * bool(self.averaging) + self.lines(card)

    def describe(self, protocol: str, description: str) -> str:
        """Protocol and averaging in one line, never the one without the other."""
        averaged = f", {self.averaging}" if self.averaging else ""
        return f"protocol {protocol}{averaged}: {description}"


def parse_scales(text: str) -> tuple[float, ...]:
    """What `--scales` gave, such as `0.75,1,1.25`.

    Raises:
        ShapeError: If it is no list of numbers.

    Example:
        >>> parse_scales("0.75,1,1.25")
        (0.75, 1.0, 1.25)
    """
    from atrous.errors import ShapeError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ShapeError(
            f"--scales is {text!r}, expected numbers with commas between, such as 0.75,1,1.25."
        ) from error


def describe_input(card: "Card") -> str:
    """What becomes of an image before the network sees it, and of the mask after, in words."""
    facts = card.preprocessing
    size = "x".join(map(str, facts.size or ()))
    has_masks = card.task != "classification"
    back = "; masks are resized back to the image's size" if has_masks else ""
    if facts.size is None:
        return "each image at its own size"
    if facts.shorter_side is not None:
        return f"shorter side resized to {facts.shorter_side}, then the central {size} crop{back}"
    return f"resized to {size} (H x W) whatever the aspect{back}"


def percent(value: float) -> float | None:
    """A fraction for JSON; None where there is none."""
    return None if math.isnan(value) else round(100 * value, 4)


def percents(bounds: tuple[float, float] | None) -> list[float | None] | None:
    """An interval for JSON."""
    return None if bounds is None else [percent(bound) for bound in bounds]


def number(value: object) -> str:
    """A percentage for people, six characters wide."""
    return f"{value:6.2f}" if isinstance(value, float) else "     -"


def interval_text(bounds: object, *, kind: str) -> str:
    """The interval behind a score, or nothing where there is none."""
    if not isinstance(bounds, list):
        return ""
    low, high = bounds
    return f"   ({low:.2f} to {high:.2f}, 95 % {kind})"
