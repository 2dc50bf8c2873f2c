"""Recipes and splits that the package holds, by name: `recipe:people` is a file in this folder."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from atrous.errors import UnknownNameError

PREFIX: Final = "recipe:"


def list_recipes() -> dict[str, str]:
    """What each recipe is for, in its own first line, by name in order."""
    found = {}
    for path in sorted(_folder().glob("*.toml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        found[path.stem] = first.removeprefix("#").strip()
    return found


def resolve(text: str | Path) -> Path:
    """The file that a user names: one of the package's after `recipe:`, or a path.

    Args:
        text: `recipe:NAME` of a recipe, `recipe:splits/NAME` of a list of samples, or a path.

    Raises:
        UnknownNameError: If the package holds no such recipe or list.

    Example:
        >>> resolve("recipe:people").name, resolve("recipe:splits/people-val").name
        ('people.toml', 'people-val.txt')
        >>> resolve("mine.toml")
        PosixPath('mine.toml')
    """
    if not str(text).startswith(PREFIX):
        return Path(text)
    name = str(text).removeprefix(PREFIX)
    lists = {f"splits/{path.stem}": path for path in sorted(_folder().glob("splits/*.txt"))}
    known = {**{path.stem: path for path in sorted(_folder().glob("*.toml"))}, **lists}
    plain = name.removesuffix(".toml").removesuffix(".txt")
    if plain not in known:
        raise UnknownNameError("recipe or split of the package", name, known)
    return known[plain]


def _folder() -> Path:
    return Path(str(files(__name__)))
