"""What the name of a volume says it is: a modality of MRI, labels, a mask, or nothing.

One table for folders that are predicted on, for the layouts, and for the channels of data sets and
of networks: names differ in case, separators and habits, and `T2_FLAIR` is no T2.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from atrous.errors import DataError

LABELS: Final = "labels"
"""What is answered for a file of a truth, or of labels in general."""
MASK: Final = "mask"
"""What is answered for other masks, such as a brain mask, and for results."""

CHANNEL_WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "flair": frozenset({"flair", "t2f", "t2flair", "flairw"}),
        "t1": frozenset({"t1", "t1n", "t1w", "t1wi", "t1weighted", "mprage"}),
        "t1ce": frozenset(
            {
                *("t1ce", "t1c", "t1cw", "t1gd", "t1gad", "t1gado", "t1km", "t1post", "t1contrast"),
                *("t1wc", "t1wce", "t1wgd", "t1wpost"),
            }
        ),
        "t2": frozenset({"t2", "t2w", "t2wi", "t2tse", "t2weighted"}),
    }
)
"""Words of names by what they say; the keys are the names of BraTS until 2021."""

_ALL: Final = {word: what for what, words in CHANNEL_WORDS.items() for word in words}
_OTHER: Final = frozenset(
    {
        *("adc", "asl", "bold", "cbf", "cbv", "ct", "dti", "dwi", "fa", "ktrans", "md", "mp2rage"),
        *("mra", "mtt", "pd", "pdw", "pet", "spect", "swi", "t1map", "t1rho", "t2map", "t2star"),
        *("tof",),
    }
)
"""Other kinds of images, which a name says by themselves."""
_DERIVED: Final = frozenset({"map", "subtraction", "subtracted", "star", "s", "gre", "rho"})
"""Behind a modality these say that it is another kind of image, as in `T1_map` and `T2*`."""
_CONTRAST: Final = frozenset(
    {
        *("ce", "gd", "gad", "gado", "gadolinium", "gbca", "km", "mdc"),
        *("contrast", "postcontrast", "enhanced", "post", "postgd"),
    }
)
"""Beside T1, wherever they stand in a name, these make it contrast-enhanced."""
_CONTRAST_AFTER: Final = frozenset({"c", "cont"})
"""These do so directly behind T1 alone."""
_NO_CONTRAST: Final = frozenset({"pre", "no", "non", "none", "without", "wo", "native", "before"})
_OPERATION: Final = frozenset({"op", "operative", "operation", "surgery", "treatment", "tx", "rt"})
_SPACE: Final = frozenset({"to", "onto", "into", "on", "in", "space"})
"""What follows names the grid that the image was brought to."""
_LABEL_WORDS: Final = frozenset(
    {
        *("seg", "segm", "segmentation", "segmented", "dseg", "labelmap", "otmulticlass", "truth"),
        *("gtv", "ctv", "ptv", "wholetumor", "wholetumour"),
    }
)
_LABEL_ENDS: Final = frozenset(
    {
        *("gt", "label", "labels", "groundtruth", "annotation", "annotations", "lesion", "lesions"),
        *("tumor", "tumour"),
    }
)
"""As the last word."""
_MASK_WORDS: Final = frozenset({"aparc", "aseg", "pve", "probseg", "ribbon"})
_MASK_ENDS: Final = frozenset(
    {"pred", "prediction", "predictions", "probabilities", "roi", "wm", "gm", "csf"}
)
_FIRST: Final = frozenset({"csf", "gm", "groundtruth", "gt", "roi", "wm"})
"""Of the words for ends, those that say so as the first word too."""
_ORGANS: Final = frozenset({"brain", "parenchyma", "skull", "head", "body", "bet"})
"""A mask or segmentation of these is no truth of tumours or of other classes."""
_NAMELESS: Final = re.compile(r"(channel|modality|image|input|mri|mr|scan|c)?\d*")
"""Names of channels that do not say what they show."""
_LESIONS: Final = frozenset({"tumor", "tumour", "lesion", "lesions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NameReading:
    """What a name says.

    Attributes:
        kinds: Modalities, or `labels` or `mask` alone; none where nothing is said; several where
            the name says several.
        start: Where in the name the words that say so begin; its length where none do.
    """

    kinds: tuple[str, ...]
    start: int


def read_name(stem: str) -> NameReading:
    """What the name of a file, or of a channel, says.

    Args:
        stem: Without suffixes, and without the patient's own name where that is known.

    Example:
        >>> [read_name(name).kinds for name in ("pat_T2_FLAIR", "pat_t1_gd", "t1c_to_flair")]
        [('flair',), ('t1ce',), ('t1ce',)]
        >>> [read_name(name).kinds for name in ("t1_brain_mask", "flair_seg", "case_0000", "t1_t2")]
        [('mask',), ('labels',), (), ('t1', 't2')]
    """
    found = list(re.finditer(r"[a-z0-9]+", stem.lower().replace("t2*", "t2_star")))
    words = [match.group() for match in found]
    kind = _mask_kind(words)
    if kind is not None:
        return NameReading(kinds=(kind,), start=len(stem))
    own = _without_space(words)
    at = _modalities(own)
    if not at:
        return NameReading(kinds=(), start=len(stem))
    # The T2 of T2-FLAIR and the grid that an image was brought to are no part of who it is of.
    begins = min(i for i, word in enumerate(words) if i in at or word in _ALL or not own[i])
    kinds = tuple(dict.fromkeys(at[i] for i in sorted(at)))
    return NameReading(kinds=kinds, start=found[begins].start())


def behind_patient(stem: str, patient: str) -> int:
    """Where in a name what follows the patient's own name begins; 0 where it does not begin so.

    Example:
        >>> behind_patient("t2_007_flair", "t2_007"), behind_patient("t2_flair", "t")
        (6, 0)
    """
    is_whole = stem.startswith(patient) and not stem[len(patient) : len(patient) + 1].isalnum()
    return len(patient) if is_whole else 0


def canonical_channel(name: str) -> str:
    """A channel's name in the table's words, or else its letters and digits in lower case.

    Example:
        >>> [canonical_channel(name) for name in ("FLAIR", "T1-Gd", "T2w", "ADC map")]
        ['flair', 't1ce', 't2', 'adcmap']
    """
    kinds = read_name(name).kinds
    if len(kinds) == 1 and kinds[0] in CHANNEL_WORDS:
        return kinds[0]
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _mask_kind(words: list[str]) -> str | None:
    plain = [word if word in _ALL else word.rstrip("0123456789") for word in words]
    ends = {*plain[-1:], *(word for word in plain[:1] if word in _FIRST)}
    has_organ = not _ORGANS.isdisjoint(plain)
    if _LABEL_WORDS & set(plain) or _LABEL_ENDS & ends:
        return MASK if has_organ else LABELS
    if any(word.endswith(("mask", "masks")) for word in plain):
        return LABELS if not (has_organ or _LESIONS.isdisjoint(plain)) else MASK
    return MASK if _MASK_WORDS & set(plain) or _MASK_ENDS & ends else None


def _without_space(words: list[str]) -> list[str]:
    """The words, empty where they name the grid that an image was brought to."""
    kept: list[str] = []
    skips = False
    for at, word in enumerate(words):
        if skips:
            kept.append("")
            skips = False
        elif word in _SPACE and at + 1 < len(words) and words[at + 1] in _ALL:
            kept.append("")
            skips = True
        else:
            kept.append(word)
    return kept


def _modalities(words: list[str]) -> dict[int, str]:
    """What words say, by their positions; others say nothing."""
    at = {i: _ALL[word] for i, word in enumerate(words) if word in _ALL}
    if {"dark", "fluid"} <= set(words) or "darkfluid" in words:  # a maker's name of FLAIR
        at[words.index("darkfluid" if "darkfluid" in words else "dark")] = "flair"
    if "flair" in at.values():  # T2-FLAIR
        at = {i: what for i, what in at.items() if what != "t2"}
    contrast = [i for i in range(len(words)) if _says_contrast(words, i, at)]
    if contrast:
        at = {i: "t1ce" if what == "t1" else what for i, what in at.items()}
        at.update(dict.fromkeys(contrast, "t1ce"))
    derived = {
        i: what + words[i + 1]
        for i, what in at.items()
        if words[i + 1 : i + 2] and words[i + 1] in _DERIVED
    }
    others = {i: word for i, word in enumerate(words) if word in _OTHER}
    return derived or at | (others if not at else {})


def _says_contrast(words: list[str], i: int, at: Mapping[int, str]) -> bool:
    """Whether word `i` says that a T1 in the same name is contrast-enhanced."""
    if not {"t1", "t1ce"} & set(at.values()) or words[i] in _ALL:
        return False
    before, after = words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else ""
    if words[i] in _CONTRAST:
        is_without = before in _NO_CONTRAST or words[max(0, i - 2) : i] == ["w", "o"]
        return not (is_without or after in _NO_CONTRAST or after in _OPERATION)
    is_behind = at.get(i - 1) in ("t1", "t1ce")
    return words[i] in _CONTRAST_AFTER and is_behind


def match_channels(wanted: Sequence[str], present: Sequence[str] | None) -> list[int] | None:
    """Where a network's channels lie among a data set's, by name whatever its habits.

    Args:
        wanted: The network's channels, in order.
        present: The data's; None where nothing names them.

    Returns:
        A position for each; None where names say nothing (`channel 0`, `MRI`, none at all), so that
        the order is all there is.

    Raises:
        DataError: If the data lacks a channel, or has one twice.

    Example:
        >>> match_channels(["flair", "t1ce"], ["T1", "T1-Gd", "FLAIR"])
        [2, 1]
    """
    if present is None:
        return None
    ours, theirs = ([canonical_channel(name) for name in names] for names in (wanted, present))
    missing = [name for name, what in zip(wanted, ours, strict=True) if what not in theirs]
    named = zip(present, theirs, strict=True)
    twice = next((name for name, what in named if theirs.count(what) > 1 and what in ours), None)
    if not missing and twice is None:
        return [theirs.index(what) for what in ours]
    says_nothing = all(_NAMELESS.fullmatch(what) for what in ours) or all(
        _NAMELESS.fullmatch(what) for what in theirs
    )
    if says_nothing and len(ours) == len(theirs):
        return None
    found = f"has {twice} twice" if not missing else f"has no {', '.join(missing)}"
    raise DataError(
        f"The data has the channels {', '.join(present)}: it {found}; expected "
        f"{', '.join(wanted)}, as the network takes them; name the data's channels so, or take "
        "another network."
    )
