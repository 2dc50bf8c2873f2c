"""Whom a sample is of, by its name: visits, slides and slices of one person stay in one part.

A network that has seen one visit of a patient is scored too well on the next.
"""

import re
from collections.abc import Sequence
from typing import Final

from atrous.errors import DataError

_PATTERNS: Final = (
    # BIDS: sub-01_ses-2_T1w.
    re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)"),
    # BraTS of 2023 on: a patient's number, then the visit's.
    re.compile(r"(BraTS-[A-Za-z-]+-\d+)-\d{3}", re.IGNORECASE),
    # BraTS until 2021, and DeepMedic's copy of 2013: the visit's number is last.
    re.compile(r"(brats(?:1[789])?_(?:2013|TCIA|CBICA|TMC|UAB|MDA|WashU)\w*?)_\d+(?:$|[/_])", re.I),
    # The Cancer Genome Atlas: project, site, participant; then sample, portion, slide.
    re.compile(r"(TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})", re.IGNORECASE),
)


def subject_groups(names: Sequence[str], pattern: str | None = None) -> list[list[str]]:
    """Names of one subject each, of those subjects that have several.

    Args:
        names: Of samples.
        pattern: A regular expression; what its first group matches, or all of it, is the subject.
            None for the patterns of BIDS, BraTS and TCGA.

    Raises:
        DataError: If the pattern is none, or matches no name.

    Example:
        >>> subject_groups(["sub-1_ses-1", "sub-2_ses-1", "sub-1_ses-2"])
        [['sub-1_ses-1', 'sub-1_ses-2']]
    """
    found: dict[str, list[str]] = {}
    for name in names:
        subject = _subject(name, _PATTERNS if pattern is None else (_compiled(pattern),))
        if subject is not None:
            found.setdefault(subject.lower(), []).append(name)
    if pattern is not None and not found:
        raise DataError(
            f"--group-by {pattern!r} matches none of the {len(names)} names, such as {names[0]!r}; "
            "expected a regular expression whose first group is the subject; change it."
        )
    return [group for group in found.values() if len(group) > 1]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"--group-by {pattern!r} is no regular expression: {error}; expected one such as "
            r"'^(patient\d+)'; mend it."
        ) from error


def _subject(name: str, patterns: Sequence[re.Pattern[str]]) -> str | None:
    for pattern in patterns:
        match = pattern.search(name)
        if match is not None:
            return match[1] if pattern.groups else match[0]
    return None
