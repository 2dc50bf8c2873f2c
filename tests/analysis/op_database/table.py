"""The table of ops without a rule in docs/analysis_ops.md: written by the run over the database."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.analysis.op_database.verdicts import Missing

PAGE = Path(__file__).resolve().parents[3] / "docs" / "analysis_ops.md"
BEGIN = "<!-- ops without a rule: written by `python -m tests.analysis.op_database --write` -->"
END = "<!-- end of ops without a rule -->"


def rows(missing: Iterable[Missing]) -> list[str]:
    """One line of Markdown for each op and what it lacks, with the entries it was met in."""
    met: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for op, lack, name in missing:
        met[op, lack].add(name)
    return [f"| `{op}` | {lack} | {', '.join(sorted(met[op, lack]))} |" for op, lack in sorted(met)]


def write(missing: Iterable[Missing]) -> None:
    """Put the table between its markers."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(["| op | lacks | met in |", "|---|---|---|", *rows(missing)])
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def read() -> set[Missing]:
    """The table as it stands.

    Raises:
        ValueError: If the page has no table between its markers.
    """
    page = PAGE.read_text()
    if BEGIN not in page or END not in page:
        raise ValueError(f"{PAGE} lacks the markers of the table; write it anew")
    found: set[Missing] = set()
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            found |= {(cells[0].strip("`"), cells[1], name) for name in cells[2].split(", ")}
    return found
