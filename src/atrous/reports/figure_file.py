"""Figures of matplotlib as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from atrous._files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(figure: "Figure", path: Path, *, dpi: int = 110) -> None:
    """Write a figure as PNG with all of its labels; the file appears when it is whole.

    Args:
        figure: What to write.
        path: The file.
        dpi: Pixels per inch.

    Raises:
        DataError: If it cannot be written.
    """
    with write_atomically(path) as file:
        # No version of matplotlib in the file: the same numbers give the same bytes for longer.
        figure.savefig(
            file, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None}
        )
