"""Micrometres per pixel of a slide: stated by its file, given, or overridden."""

from pathlib import Path
from typing import Final

from atrous.data.slides.parts import check_mpp, is_mpp
from atrous.errors import DataError

SAME_MPP: Final = 1e-3
"""Levels are read pixel for pixel where what is asked for differs by no more than this share."""


def scale_of(
    path: Path,
    stated: tuple[float, float] | None,
    given: float | tuple[float, float] | None,
    overriding: float | tuple[float, float] | None,
) -> tuple[tuple[float, float], str, tuple[str, ...]]:
    """Micrometres per pixel of level 0, whose word that is, and what is to be said of it.

    Raises:
        DataError: If there are none, or they cannot be a slide's.
    """
    states = None if stated is None else f"the file states {stated[0]:.4g} x {stated[1]:.4g} µm"
    if overriding is not None:
        known = pair(overriding)
        check_mpp(path, known)
        said = f"{states or 'the file states no scale'}; {known[0]:g} x {known[1]:g} is taken"
        return known, "overridden", (f"{said} instead (--override-mpp)",)
    if stated is None and given is None:
        raise DataError(
            f"{path}: nothing in it says how many micrometres a pixel is; expected a slide "
            "that states it; say it with --mpp, such as --mpp 0.5."
        )
    if stated is None or (given is not None and not is_mpp(stated)):
        known = pair(given or 0.0)
        check_mpp(path, known)
        return known, "given", () if states is None else (f"{states} per pixel, which none has",)
    check_mpp(path, stated)
    if given is None or all(
        abs(ours / theirs - 1) <= SAME_MPP for ours, theirs in zip(pair(given), stated, strict=True)
    ):
        return stated, "stated", ()
    said = f"{states} per pixel, so that --mpp {pair(given)[0]:g} is not used"
    return stated, "stated", (f"{said}; --override-mpp would be",)


def pair(mpp: float | tuple[float, float]) -> tuple[float, float]:
    """Down and to the right, of one number or two."""
    return mpp if isinstance(mpp, tuple) else (float(mpp), float(mpp))
