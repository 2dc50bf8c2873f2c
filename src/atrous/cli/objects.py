"""`atrous objects DATA --layout NAME [--model MODEL]`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atrous.pipelines.models import MODEL_HELP
from atrous.pipelines.sizes import SIZE_HELP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from atrous.analysis import EffectiveField, ReceptiveField
    from atrous.analysis.objects import ObjectSizes
    from atrous.data.dataset import Dataset
    from atrous.types import Size


def objects(
    data: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[str, typer.Option(help="How the folder is laid out: camvid, mask_folder, …")],
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as val.")] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="How many classes, for layouts that cannot know.")
    ] = None,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    size: Annotated[str | None, typer.Option(help=f"For the model. {SIZE_HELP}")] = None,
    min_pixels: Annotated[int, typer.Option(help="Leave out smaller objects, as specks.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """How large the labelled objects are, and which of them a network's field does not span."""
    from atrous.analysis.objects import object_sizes
    from atrous.data.catalog import open_layout

    samples = open_layout(layout, data, split=split, num_classes=num_classes).require("masks")
    fields = None if model is None else _fields(model, size)
    resized = None if model is None else _card_size(model)
    found = object_sizes(
        _masks(samples, resized), num_classes=samples.num_classes, min_pixels=min_pixels
    )
    names = samples.class_names or tuple(f"class {i}" for i in range(samples.num_classes))
    rows = [_row(sizes, names[sizes.label], fields) for sizes in found]
    if as_json:
        record: dict[str, object] = {"images": len(samples), "min_pixels": min_pixels}
        if fields is not None:
            record["field"] = list(fields[0].field.size)
            record["effective_field"] = list(fields[1].size)
        typer.echo(json.dumps({**record, "classes": rows}, indent=1))
        return
    typer.echo(_text(rows, samples, fields, model, min_pixels))


def _masks(samples: "Dataset", resized: "Size | None") -> "Iterator[NDArray[np.integer]]":
    """Masks in the size that the network sees them in, with a progress bar."""
    import numpy as np
    from PIL import Image

    from atrous.cli.progress import progress
    from atrous.data.prefetch import prefetch

    with progress("objects", len(samples)) as advance:
        for _, mask in prefetch(samples.rgb8_and_mask, range(len(samples))):
            pixels = mask.to(dtype=mask.dtype).numpy().astype(np.uint8)
            if resized is not None:
                picture = Image.fromarray(pixels)
                height, width = resized
                pixels = np.array(picture.resize((width, height), Image.Resampling.NEAREST))
            yield pixels
            advance()


def _card_size(model: str) -> "Size | None":
    """Size that the network's images are resized to, which is the size its objects have for it."""
    from atrous.networks.shipped import SHIPPED, resolve_weights
    from atrous.networks.weights import load_weights

    if not model.endswith(".safetensors") and model not in SHIPPED:
        return None
    return load_weights(resolve_weights(model)).card.preprocessing.size


def _fields(model: str, size: str | None) -> "tuple[ReceptiveField, EffectiveField]":
    from atrous.analysis import effective_receptive_field, profile, receptive_field
    from atrous.cli.profile import main_map
    from atrous.pipelines.measure import input_size
    from atrous.pipelines.models import open_model

    opened = open_model(model, needs_weights=True)
    in_channels, lengths = input_size(opened, size)
    cost = profile(opened.model, lengths, in_channels=in_channels, with_fields=True)
    layer = main_map(cost)
    used = effective_receptive_field(
        opened.model,
        size=lengths,
        output=None if layer.startswith("output") else layer,
        in_channels=in_channels,
        num_images=4,
    )
    seen = receptive_field(opened.model, lengths, in_channels=in_channels, counts_holes=False)
    return seen, used


def _row(
    sizes: "ObjectSizes", name: str, fields: "tuple[ReceptiveField, EffectiveField] | None"
) -> dict[str, object]:
    low, middle, high = sizes.quantiles()
    row: dict[str, object] = {
        "class": name,
        "objects": sizes.num_objects,
        "images": sizes.num_images,
        "longest_side": {"p10": low, "median": middle, "p90": high},
    }
    if fields is not None:
        seen, used = fields
        limit = [
            float("inf") if extent == "whole" else float(length)
            for length, extent in zip(seen.field.size, seen.field.extent, strict=True)
        ]
        row["larger_than_field"] = sizes.share_larger(limit)
        row["larger_than_effective_field"] = sizes.share_larger(used.size)
        row["area_larger_than_effective_field"] = sizes.share_larger(used.size, by_area=True)
    return row


def _text(
    rows: list[dict[str, object]],
    samples: "Dataset",
    fields: "tuple[ReceptiveField, EffectiveField] | None",
    model: str | None,
    min_pixels: int,
) -> str:
    from atrous.analysis.text import field_text

    lines = [f"Connected objects of {min_pixels} pixels or more in {len(samples)} images"]
    header = f"{'class':<20}{'objects':>9}{'images':>8}   longest side: p10, median, p90"
    if fields is not None:
        seen, used = fields
        lines.append(
            f"{model}: field {field_text(seen.field)}, effective field "
            f"{'x'.join(map(str, used.size))} (4.55 % rule, 4 noise images)"
        )
        header += "   larger than field, effective (of area)"
    lines.append(header)
    for row in rows:
        sides = row["longest_side"]
        assert isinstance(sides, dict)
        line = f"{row['class']:<20}{row['objects']:>9}{row['images']:>8}"
        line += "".join(f"{sides[key]:>9.0f}" for key in ("p10", "median", "p90"))
        if fields is not None:
            line += f"{row['larger_than_field']:>17.1%}"
            line += f"{row['larger_than_effective_field']:>13.1%}"
            line += f"{row['area_larger_than_effective_field']:>9.1%}"
        lines.append(line)
    return "\n".join(lines)
