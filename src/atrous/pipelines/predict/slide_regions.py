"""Where a slide is run: where tissue was found, or where the user says."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atrous._files import sha256_of
from atrous.data.slides.geojson import GeoJSONMask
from atrous.data.slides.read import Slide
from atrous.data.slides.regions import file_of_slide, read_area, read_roi
from atrous.data.slides.tissue import tissue_of
from atrous.inference.slides.plan import SlidePlan

if TYPE_CHECKING:
    from atrous.pipelines.predict.options import SlideOptions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlideRegions:
    """What of a slide is run.

    Attributes:
        chosen: Where, on a picture of the whole slide, `(h, w)`; None for everywhere.
        by: Who chose it, in words.
        roi: File of the regions outside of which nothing is kept; None for none.
        record: What the choice depends on, as JSON values.
    """

    chosen: NDArray[np.bool_] | None
    by: str
    roi: Path | None
    record: dict[str, Any]

    def roi_map(self, slide: Slide, plan: SlidePlan, *, frame: str) -> GeoJSONMask | None:
        """The regions at the scale of the plan; None for everywhere."""
        if self.roi is None:
            return None
        return read_roi(self.roi, slide, plan.grid.size, scale=plan.scale, frame=frame)


def choose_regions(slide: Slide, options: "SlideOptions", *, name: str) -> SlideRegions:
    """Find tissue, or read where it is, and the regions of interest.

    Args:
        slide: Open.
        options: Say where to look.
        name: Of the slide, by which files in folders are found.

    Raises:
        DataError: If a file that is named cannot be read.
    """
    record: dict[str, Any] = {"tissue": "found on the slide", "roi": None}
    chosen, by = None, "everything, as --all-tiles says"
    roi = None if options.roi is None else file_of_slide(Path(options.roi), name)
    if options.all_tiles:
        record["tissue"] = "all tiles"
    elif options.tissue is not None:
        file = file_of_slide(Path(options.tissue), name)
        chosen, by = read_area(file, slide, frame=options.frame), f"tissue of {file.name}"
        record["tissue"] = {"file": file.name, "sha256": sha256_of(file)}
    elif roi is None:
        chosen, by = tissue_of(slide), "tissue that was found"
    else:
        record["tissue"], by = "all of the regions of interest", ""
    if roi is not None:
        record["roi"] = {"file": roi.name, "sha256": sha256_of(roi)}
        inside = read_area(roi, slide, frame=options.frame)
        by = ", ".join(filter(None, (by, f"regions of {roi.name}")))
        chosen = inside if chosen is None else inside & _enlarged(chosen, inside.shape)
    return SlideRegions(chosen=chosen, by=by, roi=roi, record=record)


def _enlarged(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask at another size, a pixel by its place."""
    rows, columns = (
        np.arange(length) * own // length for length, own in zip(shape, mask.shape, strict=True)
    )
    return mask[rows][:, columns]
