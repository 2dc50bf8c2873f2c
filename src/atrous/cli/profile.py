"""`atrous profile MODEL --size SIZE`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atrous.pipelines.models import MODEL_HELP
from atrous.pipelines.sizes import SIZE_HELP

if TYPE_CHECKING:
    from atrous.analysis import Halo, Latency, Profile, ReceptiveField
    from atrous.pipelines.measure import Measured
    from atrous.reports.profile.page import Picture


def profile(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    size: Annotated[str | None, typer.Option(help=SIZE_HELP)] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Print every layer.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures.")] = None,
    photo: Annotated[
        Path | None, typer.Option(help="Photo for the page to draw the field on.")
    ] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Also time it here, with random weights for a name.")
    ] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Name what makes a number a bound, and what would help.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a network costs and sees: parameters, MACs, memory, receptive field, tile halo."""
    from atrous._files import check_place, write_text
    from atrous.analysis import ValueDependentError, reasons
    from atrous.analysis.text import layer_table
    from atrous.errors import DataError
    from atrous.pipelines.measure import cost_of, measure

    if photo is not None and html is None:
        raise DataError("--photo is drawn on the page alone; give a file for it too: --html FILE.")
    if html is not None:
        check_place(html)
    try:
        measured = measure(model, size, needs_weights=html is not None, with_latency=latency)
    except ValueDependentError as error:
        if html is not None or latency or why:
            raise
        cost = cost_of(model, size)
        typer.echo(json.dumps(cost.as_dict(), indent=1) if as_json else cost)
        typer.echo(f"atrous: neither field nor halo: {error}", err=True)
        return
    if html is not None:
        write_text(html, _page(measured, photo))
    if as_json:
        typer.echo(json.dumps(record(measured), indent=1))
        return
    typer.echo(_text(measured))
    if why:
        found = reasons(measured.seen, measured.halo, measured.cost)
        typer.echo("\n" + "\n".join(found or ["every number is exact"]))
    if layers:
        typer.echo("\n" + layer_table(measured.cost.layers))
    if html is not None:
        typer.echo(f"page: {html}")


def record(measured: "Measured") -> dict[str, object]:
    """What `--json` prints of one network; see docs/json.md."""
    cost, seen, halo = measured.cost, measured.seen, measured.halo
    facts = {
        "network": measured.name,
        "size": list(measured.size),
        "in_channels": measured.cost.input_shapes[0][1],
        "params": cost.params,
        "weights": cost.weights,
        "biases": cost.biases,
        "frozen": cost.frozen,
        "macs": cost.macs,
        "counted": cost.counted,
        "uncounted": list(cost.uncounted),
        "unmeasured": list(cost.unmeasured),
        "receptive_field": _field_record(seen),
        "halo": {
            "pixels": list(halo.pixels) if halo.is_finite else None,
            "alignment": list(halo.alignment) if halo.is_finite else None,
            "blockers": [f"{note.op} in {note.layer}: {note.kind}" for note in halo.blockers],
        },
        "peak_activation_bytes": cost.peak_activation_bytes,
        "param_bytes": cost.param_bytes,
        "buffer_bytes": cost.buffer_bytes,
        "layers": cost.as_dict()["layers"],
    }
    if measured.latency is not None:
        facts["latency"] = latency_record(measured.latency)
    return facts


def _field_record(seen: "ReceptiveField") -> dict[str, object]:
    return {
        "layer": seen.layer,
        "size": list(seen.field.size),
        "jump": list(seen.field.jump),
        "start": list(seen.field.start),
        "extent": list(seen.field.extent),
        "exact": seen.is_exact,
        "bound": seen.bound,
        "aligned": seen.is_aligned,
        "coverage": seen.field.coverage,
        "notes": [
            {"kind": n.kind, "op": n.op, "layer": n.layer, "line": n.line} for n in seen.notes
        ],
    }


def latency_record(latency: "Latency") -> dict[str, object]:
    """Time of one run, with all that it depends on."""
    return {
        "median_ms": 1e3 * latency.median_seconds,
        "spread_ms": 1e3 * latency.spread_seconds,
        "batch_size": latency.batch_size,
        "threads": latency.num_threads,
        "layout": latency.layout,
        "precision": latency.precision,
        "device": latency.device,
    }


def _text(measured: "Measured") -> str:
    from atrous.analysis.text import field_text, numbers_text, scaled

    cost, seen, halo = measured.cost, measured.seen, measured.halo
    at_least = "" if cost.counted == "all" else "at least "
    shape = "x".join(map(str, cost.input_shapes[0][1:]))
    lines = [
        f"{measured.name} on {shape}",
        "",
        f"parameters        {cost.params:>16,}   {cost.weights:,} weights, {cost.biases:,} biases"
        + (f", {cost.frozen:,} of them frozen" if cost.frozen else ""),
        f"MACs              {at_least + format(cost.macs, ','):>16}   FLOPs: twice that",
        f"receptive field   {field_text(seen.field):>16}   "
        + ("exact" if seen.is_exact else f"{seen.bound}: see --why")
        + ("" if seen.layer == "output" else f", of {seen.layer}")
        + ("" if seen.is_aligned else "; paths of different centres meet"),
        f"jump              {numbers_text(seen.field.jump):>16}   "
        f"start {numbers_text(seen.field.start)}",
        f"halo              {_halo_text(halo)}",
        f"peak memory       {scaled(cost.peak_activation_bytes) + 'B':>16}   maps, inference",
        f"training memory   {scaled(cost.training_bytes) + 'B':>16}   estimate, Adam"
        + (", at least" if cost.unmeasured else ""),
    ]
    coverage = seen.field.coverage
    if coverage is not None and coverage < 1:
        lines.append(f"coverage          {coverage:>16.1%}   of its positions are read")
    if measured.latency is not None:
        timed = measured.latency
        lines.append(
            f"latency           {1e3 * timed.median_seconds:>13.1f} ms   "
            f"spread {1e3 * timed.spread_seconds:.1f} ms, {timed.num_threads} threads, "
            f"{timed.layout}, {timed.precision}, {timed.device}"
        )
    lines += [f"not counted: {op}" for op in cost.uncounted]
    return "\n".join(lines)


def _halo_text(halo: "Halo") -> str:
    if halo.is_finite:
        pixels = "x".join(map(str, halo.pixels))
        return f"{pixels:>16}   px per side; tiles begin at multiples of {halo.alignment[0]}"
    first = halo.blockers[0]
    return f"{'none will do':>16}   {first.op} in {first.layer or 'the model'} is {first.kind}"


def _page(measured: "Measured", photo: Path | None) -> str:
    from atrous.pipelines.provenance import facts
    from atrous.reports.profile.page import profile_page

    return profile_page(
        name=measured.name,
        cost=measured.cost,
        seen=measured.seen,
        halo=measured.halo,
        pictures=field_pictures(measured, photo) if len(measured.size) == 2 else [],
        facts=facts(),
    )


def main_map(cost: "Profile") -> str:
    """Name of the map to look at: the first output that is one, else the map of the widest field.

    A classifier's output sees everything by its pooling; what tells networks apart is what they see
    before that.
    """
    assert cost.layer_fields is not None  # the caller asked for fields
    fields, rank = cost.layer_fields, len(cost.input_shapes[0])
    shapes = {layer.name: layer.output_shape for layer in cost.layers}
    for name in ("output", "output[0]"):
        if name in fields and len(shapes[""] or ()) == rank:
            return name
    finite = {
        name: field.size
        for name, field in fields.items()
        if set(field.extent) == {"finite"} and len(shapes.get(name.partition("[")[0]) or ()) == rank
    }
    if not finite:
        return list(fields)[-1]
    return max(reversed(list(finite)), key=lambda name: finite[name])


def field_pictures(measured: "Measured", photo: Path | None) -> "list[Picture]":
    """The field on a photo, and the middle of the gradient, whose holes are the gridding."""
    import numpy as np
    from PIL import Image, ImageOps

    from atrous.analysis import effective_receptive_field
    from atrous.analysis.text import field_text
    from atrous.data.photos.read import read_rgb8
    from atrous.data.synthetic.shapes import draw_shapes
    from atrous.reports.profile.page import Picture, field_on_photo, heat_picture

    height, width = measured.size
    pixels = draw_shapes(0, size=(height, width))[0] if photo is None else read_rgb8(photo)
    pixels = np.array(ImageOps.fit(Image.fromarray(pixels), (width, height)))
    layer = main_map(measured.cost)
    seen = measured.seen.layers[layer]
    used = effective_receptive_field(
        measured.model,
        size=measured.size,
        output=None if layer.startswith("output") else layer,
        num_images=4,
        in_channels=measured.in_channels,
        seen=measured.seen,
    )
    weights = "its weights" if measured.has_trained_weights else "random weights"
    row, column = (slice(max(n // 2 - 30, 0), n // 2 + 31) for n in used.map.shape)
    return [
        Picture(
            pixels=field_on_photo(pixels, field_size=seen.size, blob=used.map),
            caption=(
                f"Box: the receptive field of the middle of {layer}, {field_text(seen)}, in an "
                f"input of {height}x{width}. "
                f"Light: the effective field, {used.size[0]}x{used.size[1]} by the 4.55 % rule, "
                f"from the gradient of the central output over 4 noise images, with {weights}."
            ),
        ),
        Picture(
            pixels=heat_picture(used.map[row, column]),
            caption=(
                "The middle of that gradient, pixel by pixel; sand is never read. Sand in a "
                "regular pattern is gridding."
            ),
        ),
    ]
