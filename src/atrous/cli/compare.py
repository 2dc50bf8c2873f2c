"""`atrous compare A B C … --size SIZE`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atrous.pipelines.models import MODEL_HELP
from atrous.pipelines.sizes import SIZE_HELP

if TYPE_CHECKING:
    from atrous.pipelines.measure import Measured


def compare(
    models: Annotated[list[str], typer.Argument(help=MODEL_HELP)],
    size: Annotated[str | None, typer.Option(help=SIZE_HELP)] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Encoder that all of them stand on; a name, timm:NAME, torchvision:NAME."
        ),
    ] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Also time them here, with random weights for names.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw cost against field, to a .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Set networks side by side: parameters, MACs, memory, receptive field, halo, and time."""
    from atrous._files import check_place
    from atrous.cli.profile import record
    from atrous.pipelines.measure import measure

    if plot is not None:
        check_place(plot)
    measured = [measure(name, size, with_latency=latency, encoder=encoder) for name in models]
    if plot is not None:
        _draw(measured, plot)
    if as_json:
        rows = [record(one) for one in measured]
        for row in rows:
            del row["layers"]
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo(_table(measured))
    typer.echo("MACs are multiply-accumulates of one input; FLOPs are twice as many.")
    if latency:
        typer.echo(_how_timed(measured))
    if plot is not None:
        typer.echo(f"plot: {plot}")


def _table(measured: "list[Measured]") -> str:
    from atrous.analysis.text import field_text, scaled

    rows = [["network", "input", "params", "MACs", "peak memory", "field", "jump", "halo"]]
    for one in measured:
        cost, seen = one.cost, one.seen.field
        at_least = "" if cost.counted == "all" else ">= "
        jump = "-" if seen.jump[0] is None else f"{seen.jump[0]:g}"
        rows.append(
            [
                one.name,
                "x".join(map(str, cost.input_shapes[0][1:])),
                f"{cost.params:,}",
                at_least + scaled(cost.macs),
                scaled(cost.peak_activation_bytes) + "B",
                ("<= " if one.seen.bound == "at most" else "") + field_text(seen),
                jump,
                "x".join(map(str, one.halo.pixels)) if one.halo.is_finite else "none",
            ]
        )
        if one.latency is not None:
            rows[-1].append(f"{1e3 * one.latency.median_seconds:.1f} ms")
            rows[-1].append(f"{1e3 * one.latency.spread_seconds:.1f} ms")
    if measured[0].latency is not None:
        rows[0] += ["latency", "spread"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _how_timed(measured: "list[Measured]") -> str:
    """What the times depend on: how they were taken, and where."""
    from atrous.pipelines.provenance import facts

    timed = next(one.latency for one in measured if one.latency is not None)
    found = facts()
    threads = f"{timed.num_threads} thread{'' if timed.num_threads == 1 else 's'}"
    return (
        f"Latency is the median of {len(timed.seconds)} runs after a warm-up, spread that between "
        f"their quartiles; batch of {timed.batch_size}, {threads}, "
        f"{timed.layout}, {timed.precision}, {timed.device}; {found['machine']}, "
        f"{found['versions']}."
    )


def _draw(measured: "list[Measured]", path: Path) -> None:
    from atrous._files import write_atomically
    from atrous.errors import DataError
    from atrous.reports.charts import Point, cost_figure

    known = ("png", "svg", "pdf")
    kind = path.suffix.removeprefix(".").lower()
    if kind not in known:
        raise DataError(f"{path}: a plot ends in one of {', '.join(known)}; change its name.")
    points = [
        Point(
            name=one.name,
            macs=one.cost.macs,
            params=one.cost.params,
            field=max(one.seen.field.size),
            is_global="whole" in one.seen.field.extent,
        )
        for one in measured
    ]
    with write_atomically(path) as file:
        cost_figure(points).savefig(file, format=kind, dpi=150, facecolor="white")
