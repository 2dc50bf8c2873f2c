"""Results of volumes as a BIDS derivative data set: names, descriptions and the table of labels.

Source: the Brain Imaging Data Structure 1.10, "BIDS Derivatives", discrete segmentations.
"""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from atrous._documents import read_json
from atrous._files import make_folder, write_text
from atrous.data.volumes.names import volume_stem
from atrous.data.volumes.scans import Scan
from atrous.errors import DataError
from atrous.types import Colour

BIDS_VERSION: Final = "1.10.0"
FIGURES: Final = "figures"
"""Folder of what BIDS has no names for: pictures and pages."""

_GENERATOR: Final = "Atrous"
_DESCRIPTION: Final = "dataset_description.json"
_README: Final = """\
Segmentations of volumes by networks, each on its scan's own grid, by the names of BIDS.

`desc-NETWORK_dseg.tsv` names the labels. `figures/` holds pictures, which BIDS does not cover.
"""
_KEPT: Final = ("acq", "ce", "rec", "run")
"""What else of the source's name tells scans of one visit apart, in the order of BIDS."""


def open_bids_folder(
    root: Path,
    *,
    model: str,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    values: Sequence[int],
) -> None:
    """Make the data set, or see that it is one of ours, and write the table of this model's labels.

    Args:
        root: Its folder.
        model: Name of the network, as its card has it.
        class_names: Of the labels.
        palette: Of the same.
        values: What is written for each.

    Raises:
        DataError: If `root` is another data set, or cannot be written in.
    """
    make_folder(root)
    description = root / _DESCRIPTION
    if description.exists():
        _check_ours(description)
    else:
        generator = {"Name": _GENERATOR, "Version": version("atrous")}
        record = {
            "Name": "Segmentations by Atrous",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [generator],
        }
        write_text(root / "README.md", _README)
        write_text(description, json.dumps(record, indent=1) + "\n")
    write_text(root / ".bidsignore", f"{FIGURES}\n*.part.npz\n")
    lines = ["index\tname\tcolor"]
    lines += [
        f"{value}\t{' '.join(name.split())}\t" + "#{:02x}{:02x}{:02x}".format(*colour)
        for value, name, colour in zip(values, class_names, palette, strict=True)
    ]
    write_text(root / f"desc-{label(model)}_dseg.tsv", "\n".join(lines) + "\n")


def bids_name(scan: Scan, *, model: str) -> Path:
    """Where the labels of a scan go, within the data set and without what a file's name ends in.

    The subject, the session and what else tells scans apart are those of the file's name, or of the
    folders it lies in; where they name no subject, the scan's name is taken for it.

    Raises:
        DataError: If a name has neither letter nor digit.
    """
    path = scan.path.resolve()
    stem = volume_stem(path)
    subject = _entity("sub", stem) or next(
        (found for part in reversed(path.parts[:-1]) if (found := _entity("sub", part))), None
    )
    session = _entity("ses", stem) or next(
        (found for part in reversed(path.parts[:-1]) if (found := _entity("ses", part))), None
    )
    subject = subject or label(scan.name)
    others = [(key, _entity(key, stem)) for key in _KEPT]
    entities = [("sub", subject), ("ses", session), *others]
    entities += [("space", "orig"), ("desc", label(model))]
    name = "_".join(f"{key}-{value}" for key, value in entities if value)
    folder = Path(f"sub-{subject}")
    return (folder / f"ses-{session}" if session else folder) / "anat" / f"{name}_dseg"


def sidecar(scan: Scan, *, model: str) -> dict[str, object]:
    """What BIDS wants to know of a segmentation, beside its file."""
    names = ", ".join(file.name for file in scan.files if file is not None)
    return {
        "Description": f"Classes of {names} by the network {model}, on the scan's own grid.",
        "Manual": False,
        "SpatialReference": "orig",
    }


def label(name: str) -> str:
    """A name as BIDS allows it in file names.

    Raises:
        DataError: If nothing is left of it.

    Example:
        >>> label("residual_unet.hippocampus")
        'residualunethippocampus'
    """
    found = re.sub(r"[^A-Za-z0-9]+", "", name)
    if not found:
        raise DataError(
            f"The name {name!r} has no letter or digit, which BIDS names consist of; expected "
            "some; rename the file."
        )
    return found


def _entity(key: str, text: str) -> str | None:
    found = re.search(rf"(?:^|_){key}-([A-Za-z0-9]+)(?=_|$)", text)
    return found[1] if found else None


def _check_ours(path: Path) -> None:
    try:
        generators = read_json(path)["GeneratedBy"]
        is_ours = any(generator["Name"] == _GENERATOR for generator in generators)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        is_ours = False
    if not is_ours:
        raise DataError(
            f"{path} describes a data set that Atrous did not make; expected none, or our own; "
            "give another folder."
        )
