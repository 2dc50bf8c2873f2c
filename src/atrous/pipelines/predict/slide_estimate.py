"""`predict --plan`: what a run over a slide would take, without running it."""

from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from atrous.pipelines.predict.slide_model import SlideModel, open_with, plan_of
from atrous.pipelines.predict.slide_regions import choose_regions

if TYPE_CHECKING:
    from atrous.pipelines.predict.options import SlideOptions

_RUNS: Final = 3


def plan_record(
    model: SlideModel, path: Path, options: "SlideOptions", *, name: str
) -> dict[str, Any]:
    """What a run would take, as JSON values; one tile is timed.

    Raises:
        DataError: If the slide cannot be opened, or no tissue is found.
    """
    with open_with(path, options) as slide:
        plan = plan_of(model, slide, options, choose_regions(slide, options, name=name))
        tile = plan.grid.tile(plan.places[len(plan.places) // 2])
        seconds = []
        for _ in range(_RUNS + 1):  # the first one warms up
            start = perf_counter()
            model.network.run([plan.read(slide, tile)])
            seconds.append(perf_counter() - start)
        per_pixel = median(seconds[1:]) / prod(tile.window_size)
        return {
            "notes": list(slide.notes),
            "size": list(plan.grid.size),
            "mpp": list(plan.mpp),
            "core": plan.grid.core[0],
            "window": plan.window,
            "context": {
                "kind": plan.context.kind,
                "halo": plan.grid.halo[0],
                "reason": plan.context.reason,
            },
            "tiles": len(plan.places),
            "tiles_of_the_slide": len(plan.grid),
            "network_pixels": plan.num_pixels,
            "minutes": round(per_pixel * plan.num_pixels / 60, 2),
            "memory_bytes": model.memory.needed((plan.window, plan.window)),
        }


def plan_text(name: str, record: dict[str, Any]) -> str:
    """The same for people."""
    context = record["context"]
    height, width = record["size"]
    mpp = record["mpp"]
    return "\n".join(
        [
            f"{name}: {height:,} x {width:,} pixels (H x W) at {mpp[0]:.4g} x {mpp[1]:.4g} µm",
            f"  tiles    {record['tiles']:,} of {record['tiles_of_the_slide']:,} touch tissue; "
            f"core {record['core']} px, window {record['window']} px",
            f"  context  {context['kind']}: {context['reason']}; {context['halo']} px on each side",
            f"  work     {record['network_pixels'] / 1e6:,.0f} million pixels, about "
            f"{record['minutes']:.1f} min (one tile timed here, reading included)",
            f"  memory   about {record['memory_bytes'] / 1e9:.1f} GB",
            *(f"  note     {note}" for note in record["notes"]),
        ]
    )
