"""Class maps: which classes of some data, and of a network, mean the same.

One TOML file does two jobs. As a *remap* it renames, merges and drops the classes of a data set
when it is read. As a *class map* it also names the classes of a network that was trained on other
data, so that both can be scored on the classes they share:

    classes = ["background", "person"]     # the shared ones, in order

    [data]                                 # the data's class = the shared class
    "0" = "background"                     # by number, where the layout knows no names
    "1" = "person"

    [network]                              # the network's class = the shared class
    "background" = "background"
    "person" = "person"

What `[data]` leaves out becomes unlabelled. What `[network]` leaves out is still predicted: it
becomes `OTHER`, which is wrong wherever a pixel is labelled. A remap does not read `[network]`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atrous._documents import parse_toml, read_text
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

OTHER: Final = "(other)"
"""What a network predicts where it sees a class that its data and others do not share."""

SHIPPED: Final = Path(__file__).parent / "class_maps"
"""The maps of the package, each in a file `NETWORK_on_DATA.toml`."""

_KEYS: Final = ("classes", "data", "network")
_EXPECTED: Final = "expected `classes = [...]` and a table [data] of names"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """The shared classes, and what is called what on either side."""

    name: str
    """Where it was read from; messages name it."""
    classes: tuple[str, ...]
    """The shared classes, in the order of their indices."""
    data: Mapping[str, str]
    """From the data's classes, or their numbers as text, to shared classes."""
    network: Mapping[str, str] | None = None
    """From the network's classes to shared classes; None where the file has no such table."""
    path: Path | None = None
    """The file it was read from, if from one."""

    def data_table(self, class_names: Sequence[str] | None, *, num_classes: int) -> tuple[int, ...]:
        """Shared index of every class of the data; 255 for those that the map leaves out.

        Args:
            class_names: The data's classes in order; None where the layout does not name them.
            num_classes: How many there are.

        Raises:
            UnknownNameError: If the map names a class that the data does not have.
        """
        names = [str(i) for i in range(num_classes)] if class_names is None else class_names
        return self._table(self.data, names, kind=f"class of the data in {self.name}")

    def network_table(self, class_names: Sequence[str]) -> tuple[int, ...]:
        """Shared index of every class of the network; `len(classes)` for those left out.

        Raises:
            UnknownNameError: If the map names a class that the network does not have.
            DataError: If the map says nothing of networks.
        """
        if self.network is None:
            raise DataError(
                f"{self.name}: no table [network]; expected one that names the network's classes; "
                "add it, or give the file as --remap if the classes only need other names."
            )
        kind = f"class of the network in {self.name}"
        table = self._table(self.network, class_names, kind=kind)
        return tuple(len(self.classes) if index == UNLABELLED else index for index in table)

    def _table(
        self, side: Mapping[str, str], names: Sequence[str], *, kind: str
    ) -> tuple[int, ...]:
        known = {name.casefold() for name in names}
        for name in side:
            if name.casefold() not in known:
                raise UnknownNameError(kind, name, names)
        shared = {name.casefold(): self.classes.index(to) for name, to in side.items()}
        return tuple(shared.get(name.casefold(), UNLABELLED) for name in names)


def shipped_class_maps() -> list[str]:
    """Names of the maps that the package holds.

    Example:
        >>> shipped_class_maps()
        ['cityscapes_on_camvid', 'imagenet_on_imagenette', 'voc_on_person']
    """
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read_class_map(source: str | Path) -> ClassMap:
    """Read a class map from a file, or one of the package by its name.

    Args:
        source: A name that `shipped_class_maps` lists, or the path of a TOML file. Such a name wins
            over a file of that name, which is meant by a `Path` or `./NAME`.

    Raises:
        UnknownNameError: If there is neither such a file nor such a name, or the map uses a shared
            class that it does not list.
        DataError: If the file is no TOML, or not a class map.

    Example:
        >>> read_class_map("voc_on_person").classes
        ('background', 'person')
    """
    path = _find(source)
    facts = _read(path)
    unknown = next((key for key in facts if key not in _KEYS), None)
    if unknown is not None:
        raise UnknownNameError(f"key of a class map ({path})", unknown, _KEYS)
    classes = _classes(facts.get("classes"), path)
    network = facts.get("network")
    return ClassMap(
        name=path.name,
        classes=classes,
        data=_side("data", facts.get("data"), classes, path),
        network=None if network is None else _side("network", network, classes, path),
        path=path,
    )


def _find(source: str | Path) -> Path:
    if isinstance(source, str) and source in shipped_class_maps():
        return SHIPPED / f"{source}.toml"
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a TOML file with a class map; name it.")
    raise UnknownNameError("file or class map", str(source), shipped_class_maps())


def _read(path: Path) -> dict[str, object]:
    try:
        return parse_toml(read_text(path, encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; check its permissions."
        ) from error
    except ValueError as error:  # of the encoding, or of TOML
        raise DataError(
            f"{path} is not TOML in UTF-8: {error}; {_EXPECTED}; mend the file."
        ) from error


def _classes(value: object, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        found = "no classes" if value is None else f"classes = {value!r}"
        raise DataError(f"{path}: {found}; {_EXPECTED}; list the shared classes.")
    names = tuple(name for name in value if isinstance(name, str) and name)
    if len(names) < len(value):
        raise DataError(f"{path}: classes = {value!r}; expected names in quotes; mend the list.")
    if len(names) >= UNLABELLED:
        raise DataError(
            f"{path}: {len(names)} shared classes; expected fewer than {UNLABELLED}, which means "
            "unlabelled; merge some."
        )
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None or OTHER in names:
        raise DataError(
            f"{path}: the shared class {twice or OTHER!r} "
            f"{'is listed twice' if twice is not None else 'has a name that is taken'}; "
            "expected different names; rename one."
        )
    return names


def _side(table: str, value: object, classes: tuple[str, ...], path: Path) -> Mapping[str, str]:
    """One table, checked: every value is a shared class, and every shared class occurs."""
    if not isinstance(value, dict):
        found = "no table" if value is None else f"{value!r} for"
        raise DataError(f"{path}: {found} [{table}]; {_EXPECTED}; add it.")
    side: dict[str, str] = {}
    seen: set[str] = set()
    for name, shared in value.items():
        if not isinstance(shared, str):
            raise DataError(
                f"{path}: {name!r} = {shared!r} in [{table}]; expected the name of a shared class "
                "in quotes; mend that line (a name with a dot needs quotes too)."
            )
        if shared not in classes:
            raise UnknownNameError(f"shared class in {path}", shared, classes)
        if name.casefold() in seen:
            raise DataError(
                f"{path}: {name!r} stands twice in [{table}], if capitals do not matter; expected "
                "one line a class; remove the other."
            )
        seen.add(name.casefold())
        side[name] = shared
    lonely = [name for name in classes if name not in side.values()]
    if lonely:
        raise DataError(
            f"{path}: nothing in [{table}] belongs to the shared class {lonely[0]!r}; expected at "
            "least one name for each; add one, or take the class away."
        )
    return side
