"""`atrous synthesize mosaic SLIDE OUT`: what that verb does for one of its kinds."""

from pathlib import Path

from atrous.types import Size


def mosaic(
    source: Path, out: Path, *, size: Size, tissue_tiles: int | None, mpp: float | None
) -> str:
    """Write a mosaic, and say what it is.

    Raises:
        DataError: If `out` is there; and as `write_mosaic`.
        ShapeError: Likewise.
    """
    from atrous._files import check_place
    from atrous.data.slide_mosaic import write_mosaic
    from atrous.errors import DataError

    if out.exists():
        raise DataError(f"{out} is there; expected a new file; name another, or remove it.")
    check_place(out)
    made = write_mosaic(source, out, size=size, tissue_tiles=tissue_tiles, mpp=mpp)
    return (
        f"{out}: {size[0]} x {size[1]} pixels (H x W), {out.stat().st_size / 1e6:.1f} MB; "
        f"{made.num_tissue_tiles:,} of {made.num_tiles:,} tiles of {made.tile[0]} x {made.tile[1]} "
        "hold tissue"
    )
