"""What a network costs and sees, as one self-contained HTML page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from atrous.analysis import Field, Halo, LayerProfile, Profile, ReceptiveField, reasons
from atrous.analysis.text import field_text, scaled
from atrous.reports.charts import growth_chart
from atrous.reports.page import render

Pixels: TypeAlias = NDArray[np.uint8]

_BOX = (207, 34, 46)
_SHEET = (170, 176, 184)
_MAX_REASONS = 8  # that the page shows
MAX_PICTURE = 720
"""Pictures are shrunk to this many pixels at their longest side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of the page and what it shows."""

    pixels: Pixels
    caption: str


def profile_page(
    *,
    name: str,
    cost: Profile,
    seen: ReceptiveField,
    halo: Halo,
    pictures: Sequence[Picture],
    facts: Mapping[str, str],
) -> str:
    """HTML with totals, cost by part, growth of the field, pictures and a layer table that folds.

    Args:
        name: Of the network.
        cost: With fields.
        seen: Field of the output.
        halo: Context that a tile needs.
        pictures: What one output sees.
        facts: What traces the numbers: command, versions, machine.
    """
    shown = profile_values(name=name, cost=cost, seen=seen, halo=halo, pictures=pictures)
    return render("profile.html", facts=facts, **shown)


def profile_values(
    *,
    name: str,
    cost: Profile,
    seen: ReceptiveField,
    halo: Halo,
    pictures: Sequence[Picture],
) -> dict[str, object]:
    """What `profile.html` shows but for the facts, for pages that hold it among other things."""
    shape = cost.input_shapes[0]
    size = "x".join(map(str, shape[2:]))
    return {
        "title": name,
        "subtitle": f"One input of {shape[1]} channels and {size} pixels, in inference.",
        "cards": _cards(cost, seen, halo),
        "notes": _notes(cost, seen, halo),
        "stages": _stages(cost),
        "growth": growth_chart(_growth(seen), input_length=shape[2]),
        "pictures": [{"source": _embedded(p.pixels), "caption": p.caption} for p in pictures],
        "layers": _rows(cost),
    }


def field_on_photo(
    photo: Pixels, *, field_size: Sequence[float], blob: NDArray[np.floating] | None = None
) -> Pixels:
    """A photo with the theoretical field as a box, and the effective one as light.

    Where the field is larger than the photo, the photo lies in the middle of a grey sheet.

    Args:
        photo: `(H, W, 3)` RGB; its centre is the output's.
        field_size: `(height, width)` of the theoretical field, pixels.
        blob: `(h, w)` in [0, 1], centred like the field; pixels of the photo that matter little
            are darkened.
    """
    canvas = photo.astype(np.float32)
    if blob is not None:
        light = np.zeros(photo.shape[:2], np.float32)
        rows, source_rows = _overlap(photo.shape[0], blob.shape[0])
        columns, source_columns = _overlap(photo.shape[1], blob.shape[1])
        # A fourth root: the middle is a hundred times brighter than what still counts.
        light[rows, columns] = blob[source_rows, source_columns] ** 0.25
        canvas *= 0.3 + 0.7 * light[..., None]
    height, width = (max(n, int(f)) for n, f in zip(photo.shape[:2], field_size, strict=True))
    margin = max(height, width) // 40 + 1
    sheet = Image.new("RGB", (width + 2 * margin, height + 2 * margin), _SHEET)
    picture = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    sheet.paste(picture, ((sheet.width - picture.width) // 2, (sheet.height - picture.height) // 2))
    top, left = (sheet.height - field_size[0]) / 2, (sheet.width - field_size[1]) / 2
    box = (left, top, left + field_size[1], top + field_size[0])
    ImageDraw.Draw(sheet).rectangle(box, outline=_BOX, width=max(2, max(sheet.size) // 200))
    return np.array(sheet)


def _overlap(length: int, inner: int) -> tuple[slice, slice]:
    """Where a centred window of `inner` lies in `length`, and which part of it that is."""
    shared = min(length, inner)
    start, source = (length - shared) // 2, (inner - shared) // 2
    return slice(start, start + shared), slice(source, source + shared)


def heat_picture(values: NDArray[np.floating], *, zoom_to: int = 360) -> Pixels:
    """A map in [0, 1] as an RGB picture, zeros in sand, enlarged without smoothing."""
    import matplotlib as mpl

    scaled = values / values.max() if values.max() > 0 else values
    colours = mpl.colormaps["Blues"](0.25 + 0.75 * np.sqrt(scaled))[..., :3]
    colours[values == 0] = (0.96, 0.91, 0.79)
    picture = Image.fromarray((255 * colours).astype(np.uint8))
    factor = max(1, zoom_to // max(values.shape))
    size = (picture.width * factor, picture.height * factor)
    return np.array(picture.resize(size, Image.Resampling.NEAREST))


def _cards(cost: Profile, seen: ReceptiveField, halo: Halo) -> list[dict[str, str]]:
    at_least = "" if cost.counted == "all" else "at least "
    field = seen.field
    tile = "x".join(map(str, halo.pixels)) if halo.is_finite else "none will do"
    step = halo.alignment[0]
    align = "see below" if step is None else f"px a side; tiles at multiples of {step}"
    return [
        _card("Parameters", f"{cost.params:,}", f"{cost.biases:,} of them biases"),
        _card("MACs", at_least + scaled(cost.macs), "multiply-accumulates; FLOPs: twice that"),
        _card("Receptive field", field_text(field), _jump_text(field)),
        _card("Halo for exact tiles", tile, align),
        _card("Peak memory", scaled(cost.peak_activation_bytes) + "B", "feature maps, inference"),
        _card(
            "Weights", scaled(cost.param_bytes + cost.buffer_bytes) + "B", "parameters and buffers"
        ),
    ]


def _card(label: str, value: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "note": note}


def _notes(cost: Profile, seen: ReceptiveField, halo: Halo) -> list[str]:
    notes = [f"{reason[0].upper()}{reason[1:]}." for reason in reasons(seen, halo, cost)]
    notes[_MAX_REASONS:] = (
        [f"And {len(notes) - _MAX_REASONS} more; --why lists them."]
        if len(notes) > _MAX_REASONS
        else []
    )
    if not seen.is_aligned:
        worst = max(seen.misalignments, key=lambda m: abs(m.offset))
        notes.append(
            f"Paths of different centres meet in {len(seen.misalignments)} places, up to "
            f"{abs(worst.offset):g} px apart, in {worst.layer or 'the model'}."
        )
    return notes


def _stages(cost: Profile) -> list[dict[str, object]]:
    """Parts below the model in percent; where one part holds all, its own parts."""
    parts = [layer for layer in cost.layers if layer.depth == 1]
    while len(parts) == 1:
        inner = [layer for layer in cost.layers if layer.depth == parts[0].depth + 1]
        if not inner:
            break
        parts = inner
    bytes_of = {part.name: _bytes_below(cost, part) for part in parts}
    total_bytes = max(sum(bytes_of.values()), 1)
    return [
        {
            "name": part.name,
            "kind": part.kind,
            "macs": 100 * part.macs / max(cost.macs, 1),
            "params": 100 * part.params / max(cost.params, 1),
            "bytes": 100 * bytes_of[part.name] / total_bytes,
        }
        for part in parts
    ]


def _bytes_below(cost: Profile, part: LayerProfile) -> int:
    return sum(
        layer.activation_bytes
        for layer in cost.layers
        if layer.name == part.name or layer.name.startswith(f"{part.name}.")
    )


def _growth(seen: ReceptiveField) -> list[tuple[str, float]]:
    return [(name, float(max(field.size))) for name, field in seen.layers.items()]


def _rows(cost: Profile) -> list[dict[str, object]]:
    rows = []
    following = [layer.depth for layer in cost.layers[1:]] + [0]
    for layer, next_depth in zip(cost.layers, following, strict=True):
        field = layer.field
        rows.append(
            {
                "name": layer.name or "(all)",
                "kind": layer.kind,
                "depth": layer.depth,
                "is_parent": next_depth > layer.depth,
                "output": "x".join(map(str, layer.output_shape[1:])) if layer.output_shape else "",
                "params": f"{layer.params:,}" if layer.params else "",
                "macs": scaled(layer.macs) if layer.macs else "",
                "bytes": scaled(layer.activation_bytes) if layer.activation_bytes else "",
                "field": field_text(field) if field else "",
                "jump": _numbers(field.jump) if field else "",
                "start": _numbers(field.start) if field else "",
            }
        )
    return rows


def _jump_text(field: Field) -> str:
    return f"jump {_numbers(field.jump)} px" if any(field.jump) else "one output for all of it"


def _numbers(values: Sequence[float | None]) -> str:
    texts = ["-" if value is None else f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def _embedded(pixels: Pixels) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((MAX_PICTURE, MAX_PICTURE))
    data = io.BytesIO()
    picture.save(data, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
