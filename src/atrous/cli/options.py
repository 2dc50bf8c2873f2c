"""Flags and grouped help from the dataclasses that declare options, and what of them was given."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand

from atrous.errors import DataError
from atrous.pipelines.option import Options, declared, flag

O = TypeVar("O")  # noqa: E741 - an options dataclass
OptionsByKind = Mapping[Any, type[Any]]
GENERAL = "Options"
THREADS_HELP = "Threads on the CPU; as many as have a core, by affinity and quota, if not given."


class Given:
    """The values of declared options, and which of them the user gave."""

    def __init__(
        self, by_kind: OptionsByKind, values: Mapping[str, object], given: frozenset[str]
    ) -> None:
        self._by_kind = by_kind
        self._values = values
        self._given = given

    def options(self, kind: str) -> Any:  # noqa: ANN401 - whatever dataclass the kind has
        """The options of a kind of data.

        Raises:
            DataError: If an option was given that this kind makes no use of, or is out of bounds.
            UnknownNameError: If a word is none of the choices.
        """
        wanted = self._by_kind[kind]
        own = {known.name for known, _ in declared(wanted)}
        for name in self._values:
            if name in self._given and name not in own:
                kinds = [k for k, c in self._by_kind.items() if name in _names(c)]
                raise DataError(
                    f"{flag(name)} is for {' and '.join(kinds)}, and these are {kind}; leave it "
                    "out."
                )
        return wanted(**{name: self._values[name] for name in own})


class GroupedCommand(TyperCommand):
    """A command whose help lists its options by what they are for."""

    groups: Mapping[str, str] = {}

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own
        """Write arguments and options, each group under a heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            is_argument = parameter.param_type_name == "argument"
            title = "Arguments" if is_argument else self.groups.get(parameter.name or "", GENERAL)
            sections.setdefault(title, []).append(record)
        order = ["Arguments", GENERAL, *dict.fromkeys(self.groups.values())]
        for title in order:
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])


def with_options(
    by_kind: OptionsByKind,
) -> "Callable[[Callable[..., None]], Callable[..., None]]":
    """Give a verb the options of several dataclasses; it gets them as `given: Given`.

    An option that several kinds have is one flag. The help of a verb so made belongs into
    `app.command(cls=grouped(by_kind))`.
    """

    def wrap(verb: Callable[..., None]) -> Callable[..., None]:
        names = [name for options in by_kind.values() for name in _names(options)]
        many = {f.name for o in by_kind.values() for f, _ in declared(o) if f.default == ()}

        def run(ctx: typer.Context, **arguments: object) -> None:
            values = {
                name: _as_field(arguments.pop(name), is_many=name in many)
                for name in dict.fromkeys(names)
            }
            given = frozenset(name for name in values if _is_given(ctx, name))
            verb(**arguments, given=Given(by_kind, values, given))

        own = inspect.signature(verb, eval_str=True)
        context = inspect.Parameter(
            "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        plain = [p for p in own.parameters.values() if p.name != "given"]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [context, *plain, *_parameters(by_kind)]
        )
        run.__name__, run.__doc__ = verb.__name__, verb.__doc__
        run.__module__ = verb.__module__
        run.__annotations__ = {}
        return run

    return wrap


def grouped(by_kind: OptionsByKind) -> type[GroupedCommand]:
    """A command class whose help names the kinds of data that each option is for."""
    titles: dict[str, list[str]] = {}
    for kind, options in by_kind.items():
        for name in _names(options):
            titles.setdefault(name, []).append(kind)
    groups = {name: " and ".join(kinds).capitalize() for name, kinds in titles.items()}
    return type("GroupedCommand", (GroupedCommand,), {"groups": groups})


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameters(by_kind: OptionsByKind) -> list[inspect.Parameter]:
    """One parameter for each option, for typer to read."""
    parameters: dict[str, inspect.Parameter] = {}
    for options in by_kind.values():
        hints = get_type_hints(options)
        for known, declaration in declared(options):
            if known.name in parameters:
                continue
            kind, default = _typer_type(hints[known.name], known.default)
            # Naming the flag keeps a switch from getting a second one, --no-….
            setting = typer.Option(flag(known.name), help=declaration.help)
            parameters[known.name] = inspect.Parameter(
                known.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, setting],
            )
    return list(parameters.values())


def _typer_type(hint: Any, default: Any) -> tuple[Any, Any]:  # noqa: ANN401 - types of any kind
    """What typer reads for a field's type: words stay text, which the dataclass checks."""
    if default == () and isinstance(default, tuple):
        return list[str] | None, None
    if isinstance(default, str):
        return str, default
    return hint, default


def _as_field(value: Any, *, is_many: bool) -> Any:  # noqa: ANN401 - of any field
    """What typer gives for an option, as its field holds it: several values are a tuple."""
    return tuple(value or ()) if is_many else value


def _names(options: "type[Options]") -> list[str]:
    return [known.name for known, _ in declared(options)]
