"""Tables as CSV that a spreadsheet shows and does not run."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_RUN: Final = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that spreadsheets take for formulas."""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Rows as CSV; texts that a spreadsheet would take for formulas get an apostrophe in front.

    Example:
        >>> csv_text([["image", "share"], ["=1+1", -0.5]])
        "image,share\n'=1+1,-0.5\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[_cell(cell) for cell in row] for row in rows])
    return text.getvalue()


def _cell(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(_RUN):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
