"""One declaration of an option: the library's keyword, and the command line's flag and help."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Protocol

from atrous.errors import DataError, UnknownNameError


class Options(Protocol):
    """A frozen dataclass whose fields were made by `option`."""

    __dataclass_fields__: "ClassVar[dict[str, Field[Any]]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: One or two sentences for people.
        minimum: Smallest value allowed, if there is one.
        above: Largest value that is not allowed any more, if there is one.
        choices: The words allowed; empty where any are.
    """

    help: str
    minimum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()


def option(
    default: Any,  # noqa: ANN401 - of whatever type the field is
    help: str,  # noqa: A002 - the word that every command line has for it
    *,
    minimum: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401
    """A field of an options dataclass."""
    known = Option(help=help, minimum=minimum, above=above, choices=choices)
    return field(default=default, metadata={"option": known})


def declared(options: "type[Options] | Options") -> "Iterator[tuple[Field[Any], Option]]":
    """Every field of a dataclass of options with its declaration."""
    for known in fields(options):
        yield known, known.metadata["option"]


def flag(name: str) -> str:
    """How the command line writes the name of a field: `min_region` is `--min-region`."""
    return f"--{name.replace('_', '-')}"


def check(options: Options) -> None:
    """See that every value lies in its bounds; called by the dataclass itself.

    Raises:
        DataError: If a number does not.
        UnknownNameError: If a word is none of the choices.
    """
    for known, declaration in declared(options):
        value = getattr(options, known.name)
        if declaration.choices and value not in declaration.choices:
            raise UnknownNameError(known.name, str(value), declaration.choices)
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, above = declaration.minimum, declaration.above
        if low is not None and not low <= value < float("inf"):
            raise DataError(f"{flag(known.name)} is {value}; expected {low:g} or more; change it.")
        if above is not None and not above < value < float("inf"):
            raise DataError(
                f"{flag(known.name)} is {value}; expected more than {above:g}; change it."
            )
