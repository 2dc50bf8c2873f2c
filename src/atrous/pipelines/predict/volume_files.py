"""Which files `predict` writes of a scan, by plain names or by those of BIDS."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atrous._documents import read_json
from atrous.errors import DataError

if TYPE_CHECKING:
    from atrous.data.volumes.scans import Scan
    from atrous.inference.volumes.predictor import VolumePredictor

_OURS = "Atrous"
"""Of a BIDS sidecar: the key of what is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """The files of one scan.

    Attributes:
        name: What it is called.
        stem: Labels, note and journal, without their suffix.
        pictures: Pictures and the page, without theirs.
        sidecar: What else the note holds, around what is ours; nothing for plain notes.
    """

    name: str
    stem: Path
    pictures: Path
    sidecar: Mapping[str, object] = field(default_factory=dict)

    @property
    def labels(self) -> Path:
        return Path(f"{self.stem}.nii.gz")

    @property
    def probabilities(self) -> Path:
        if self.stem.name.endswith("_dseg"):  # BIDS
            return self.stem.with_name(self.stem.name.removesuffix("dseg") + "probseg.nii.gz")
        return Path(f"{self.stem}.probabilities.nii.gz")

    @property
    def note(self) -> Path:
        return Path(f"{self.stem}.json")

    @property
    def journal(self) -> Path:
        return Path(f"{self.stem}.part.npz")

    @property
    def picture(self) -> Path:
        return Path(f"{self.pictures}.png")

    @property
    def montage(self) -> Path:
        return Path(f"{self.pictures}.montage.png")

    @property
    def page(self) -> Path:
        return Path(f"{self.pictures}.html")

    def write_note(self, run: str, record: Mapping[str, object]) -> None:
        """Write what tells a whole result from others."""
        from atrous._files import write_text

        ours = {"run": run, **record}
        note = {**self.sidecar, _OURS: ours} if self.sidecar else ours
        write_text(self.note, json.dumps(note, indent=1) + "\n")

    def read_note(self, run: str) -> dict[str, Any]:
        """The record of a result that is there.

        Raises:
            DataError: If it is of another run, or not whole.
        """
        try:
            note = read_json(self.note)
            record = note.get(_OURS, note)
            found = record.pop("run")
        except (OSError, ValueError, KeyError, AttributeError):
            found, record = None, {}
        if found != run:
            raise DataError(
                f"{self.labels} is there already, of another run or by someone else; expected "
                "none, or the one of this scan, model and options; give another folder, or "
                "--overwrite."
            )
        return dict(record)


def plain_files(scans: "Sequence[Scan]", out: Path) -> list[ResultFiles]:
    """Everything beside each other in one folder, named as the scans.

    Raises:
        DataError: If two scans are called alike, or the folder cannot be made.
    """
    from atrous._files import make_folder, short_name

    alone = [scan.name for scan in scans]
    names = [
        short_name(name if alone.count(name) == 1 else f"{scan.path.parent.name}-{name}")
        for name, scan in zip(alone, scans, strict=True)
    ]
    _check_alone(names)
    make_folder(out)
    return [ResultFiles(name=name, stem=out / name, pictures=out / name) for name in names]


def bids_files(
    predictor: "VolumePredictor", scans: "Sequence[Scan]", out: Path
) -> list[ResultFiles]:
    """A BIDS derivative data set, its pictures in a folder by themselves.

    Raises:
        DataError: If two scans are called alike, or the folder is another data set.
    """
    from atrous._files import make_folder
    from atrous.reports.volumes.bids import FIGURES, bids_name, open_bids_folder, sidecar

    card = predictor.card
    places = [bids_name(scan, model=card.name) for scan in scans]
    _check_alone([place.name for place in places])
    open_bids_folder(
        out,
        model=card.name,
        class_names=card.class_names,
        palette=card.palette,
        values=predictor.facts.label_values or range(len(card.class_names)),
    )
    make_folder(out / FIGURES)
    for place in places:
        make_folder(out / place.parent)
    return [
        ResultFiles(
            name=place.name,
            stem=out / place,
            pictures=out / FIGURES / place.name,
            sidecar=sidecar(scan, model=card.name),
        )
        for scan, place in zip(scans, places, strict=True)
    ]


def _check_alone(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"Two scans would both be called {twice!r}; expected names that differ; run them into "
            "two folders."
        )
