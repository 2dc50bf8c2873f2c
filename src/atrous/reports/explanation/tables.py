"""Numbers and tables as `explain` prints them."""

from collections.abc import Iterator, Sequence


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (1,)) -> Iterator[str]:
    """Columns as wide as their longest cell: text (the columns in `left`) to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def thousands(number: int | None) -> str:
    """A number with commas; a question mark for one that is not known."""
    return "?" if number is None else f"{number:,}"


def by(lengths: Sequence[int]) -> str:
    """Lengths as people write them: `64x48`."""
    return "x".join(map(str, lengths))


def alike(numbers: Sequence[object]) -> str:
    """One number if all axes agree, else all of them; nothing without axes."""
    texts = [str(number) for number in numbers]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
