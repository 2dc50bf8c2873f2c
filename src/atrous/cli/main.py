"""The entry point: `atrous VERB …`, with every verb in a file of its own."""

import io
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from atrous.cli.compare import compare
from atrous.cli.convert import convert
from atrous.cli.data import data
from atrous.cli.demo import demo
from atrous.cli.doctor import doctor
from atrous.cli.evaluate import OPTIONS as evaluate_options  # noqa: N811 - two of them
from atrous.cli.evaluate import evaluate
from atrous.cli.explain import explain
from atrous.cli.export import export
from atrous.cli.networks import networks
from atrous.cli.objects import objects
from atrous.cli.options import grouped
from atrous.cli.predict import OPTIONS as predict_options  # noqa: N811 - two of them
from atrous.cli.predict import predict
from atrous.cli.profile import profile
from atrous.cli.progress import one_line
from atrous.cli.recipes import init, recipes
from atrous.cli.synthesize import synthesize
from atrous.cli.train import train
from atrous.errors import AtrousError

STOPPED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells count."""

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class _Verbs(TyperGroup):
    """The list of verbs with the whole first line of each, however narrow the terminal is."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own
        rows = [
            (name, (command.help or "").strip().splitlines()[0])
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_NAMES,
    rich_markup_mode=None,  # its imports would double the time of --help
)
VERBS = (
    explain, networks, profile, compare, objects, data, convert, export, predict, evaluate,
    recipes, init, train, synthesize, demo, doctor,
)  # fmt: skip
OPTIONS: dict[object, Mapping[Any, type[Any]]] = {
    predict: predict_options,
    evaluate: evaluate_options,
}
"""By verb: the options dataclasses that its help is grouped by."""
for verb in VERBS:
    app.command(
        cls=grouped(OPTIONS[verb]) if verb in OPTIONS else None, context_settings=HELP_NAMES
    )(verb)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"atrous {version('atrous')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Efficient convolutional networks: understand them, convert them, run them, measure them."""


def main() -> None:
    """Run the command; deliberate errors become one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # names of files may be no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except AtrousError as error:
        print(f"atrous: {one_line(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except SystemExit as stop:
        if stop.code == STOPPED:
            print(
                "atrous: stopped; what is written is whole, run it again to go on", file=sys.stderr
            )
        raise


if __name__ == "__main__":
    main()
