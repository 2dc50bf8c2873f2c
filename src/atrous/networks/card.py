"""The model card: everything that must travel with a network's weights, inside their file."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TypeVar, get_args, get_type_hints

from atrous._documents import parse_json
from atrous._value_types import describe, fits
from atrous.errors import DataError
from atrous.networks.catalog import Argument, Task
from atrous.networks.label_sets import LabelSet
from atrous.networks.mask_resize import MaskResize
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.types import UNLABELLED, Colour

FORMAT = 1
"""Raised when a card of this version cannot be read by older ones."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One published or measured result of the weights, with what it takes to compare it."""

    dataset: str
    split: str
    protocol: str
    metric: str
    value: float
    """In percent."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a network is, what it must be fed, what its classes mean, and where it is from.

    Example:
        >>> facts = Preprocessing(mean=(0.5,), std=(0.25,))
        >>> card = Card(
        ...     name="espnet.cells", network="espnet", arguments={"num_classes": 2},
        ...     task="segmentation", class_names=("other", "cell"),
        ...     palette=((0, 0, 0), (255, 0, 0)), preprocessing=facts,
        ... )
        >>> Card.from_json(card.to_json()) == card
        True
    """

    name: str
    """`network.data_recipe`, as in `espnet.camvid_authors`."""
    network: str
    """A name of the catalog."""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    """Of the network's factory."""
    task: Task
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    void_class: int | None = None
    """Index of the class that stands for "none of the others"; scores leave it out."""
    label_names: tuple[str, ...] = ()
    """What the labels of whole images mean, for the task `joint`; empty if nobody has said."""
    preprocessing: Preprocessing
    mask_resize: MaskResize = "nearest"
    """How masks get to the image's size where the network answers at another."""
    mpp: float | None = None
    """Micrometres per pixel at which it was trained, of networks for slides."""
    volume: VolumeSpec | None = None
    """How scans become the network's input, of networks for volumes."""
    divisor: int = 1
    """Lengths that are multiples of this need no padding inside the network."""
    scores: tuple[Score, ...] = ()
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise DataError(f"The card's task is {self.task!r}; expected one of {get_args(Task)}.")
        if self.mask_resize not in get_args(MaskResize):
            raise DataError(
                f"The card's mask_resize is {self.mask_resize!r}; expected one of "
                f"{get_args(MaskResize)}."
            )
        if not self.class_names or len(self.class_names) != len(self.palette):
            raise DataError(
                f"The card names {len(self.class_names)} classes and {len(self.palette)} colours; "
                f"expected one colour for every class, and at least one class."
            )
        if self.task != "classification" and len(self.class_names) > UNLABELLED:
            raise DataError(
                f"The card names {len(self.class_names)} classes of masks; expected at most "
                f"{UNLABELLED}, because masks have 8 bits and {UNLABELLED} means unlabelled; merge "
                "some."
            )
        if self.void_class is not None and not 0 <= self.void_class < len(self.class_names):
            raise DataError(
                f"The card's void class is {self.void_class}, but it has "
                f"{len(self.class_names)} classes; expected an index below that."
            )
        if not all(0 <= level <= 255 for colour in self.palette for level in colour):
            raise DataError(
                f"The card's palette is {self.palette}; expected levels from 0 to 255; mend it."
            )
        if self.mpp is not None and not 0 < self.mpp < math.inf:
            raise DataError(f"The card's mpp is {self.mpp}; expected more than 0 µm per pixel.")
        if self.volume is not None:
            self._check_volume(self.volume)
        if self.label_names and self.task != "joint":
            raise DataError(
                f"The card names {len(self.label_names)} labels of images, but its task is "
                f"{self.task}; expected them for joint only: a classifier's are its classes."
            )

    def _check_volume(self, facts: VolumeSpec) -> None:
        count = len(self.class_names)
        unknown = set(facts.largest_only) - set(self.class_names)
        beyond = [
            name for name, members in facts.regions.items() if max(members, default=0) >= count
        ]
        if unknown or beyond or len(facts.label_values) not in (0, count):
            raise DataError(
                f"The card's volume facts name {sorted(unknown) or beyond or facts.label_values}, "
                f"but its classes are {', '.join(self.class_names)}; expected these; mend the card."
            )

    @property
    def labels(self) -> LabelSet:
        """Names and colours in one."""
        return LabelSet(names=self.class_names, palette=self.palette, void_class=self.void_class)

    def to_json(self) -> str:
        """The card as a JSON object, to be read back by `from_json`."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False)
        return text.encode(errors="backslashreplace").decode()  # as JSON escapes what is no UTF-8

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card.

        Raises:
            DataError: If the text is not a card, or of a later format.
        """
        try:
            facts = parse_json(text)
            version = facts.pop("format")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(
                f"The card is not a JSON object with a 'format' ({error!r}); "
                f"write the weights again with this version of atrous."
            ) from error
        if version != FORMAT:
            raise DataError(
                f"The card has format {version!r}, this atrous reads {FORMAT}; "
                f"use the version of atrous that wrote it, or a later one."
            )
        facts = {key: _tuples(value) for key, value in facts.items()}
        if not isinstance(facts.get("arguments", {}), dict):
            raise DataError("The card's 'arguments' are not an object; mend the card.")
        facts["preprocessing"] = _build(Preprocessing, facts.get("preprocessing"))
        if facts.get("volume") is not None:
            facts["volume"] = _build(VolumeSpec, facts["volume"])
        scores = facts.get("scores", ())
        if not isinstance(scores, tuple):
            raise DataError(f"The card's scores are {scores!r}; expected a list; mend the card.")
        facts["scores"] = tuple(_build(Score, score) for score in scores)
        return _build(cls, facts)


def _build(kind: type[T], facts: object) -> T:
    """A dataclass from a JSON object; a missing or unknown key is an error that names it."""
    if not isinstance(facts, dict):
        raise DataError(f"The card holds {facts!r} where a {kind.__name__} object is expected.")
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass here
    if unknown := sorted(facts.keys() - known):
        raise DataError(
            f"The card's {kind.__name__} has unknown keys {unknown}; known: {sorted(known)}."
        )
    hints = get_type_hints(kind)
    for key, value in facts.items():
        if not fits(value, hints[key]):
            raise DataError(
                f"The card's {key} is {value!r}; expected {describe(hints[key])}; mend the card."
            )
    try:
        return kind(**facts)
    except TypeError as error:  # a key is missing, or a value cannot be compared as it should
        raise DataError(
            f"The card's {kind.__name__} cannot be read: {error}; mend the card."
        ) from error


def _tuples(value: object) -> object:
    """JSON's lists as the tuples they were."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value
