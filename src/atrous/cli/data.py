"""`atrous data DATA --layout NAME`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atrous.errors import DataError

if TYPE_CHECKING:
    from atrous.data.augment.photos import Augmentation
    from atrous.data.check.report import DataReport
    from atrous.data.dataset import Dataset

_TRAIN, _VAL = "train.txt", "val.txt"


def data(
    data: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[
        str, typer.Option(help="How the folder is laid out: mask_folder, image_folder, camvid, …")
    ],
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as train.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another split, or FILE.txt of names, that should share no image."),
    ] = None,
    subset: Annotated[
        Path | None, typer.Option(help="Text file of sample names, one a line, to look at alone.")
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(help="How many classes, for layouts that cannot know.")
    ] = None,
    remap: Annotated[
        str | None, typer.Option(help="Class map that renames, merges and drops classes.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Of --html: recipe by whose augmentation views are made.")
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(help="Of slides: µm per pixel to read them at, if not their own."),
    ] = None,
    write_split: Annotated[
        Path | None, typer.Option(help="Folder to write train.txt and val.txt of names into.")
    ] = None,
    share: Annotated[float, typer.Option(help="Of --write-split: part that is train.")] = 0.8,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Of --write-split: a regular expression whose first group is the subject, all of "
            "whose samples stay together. Names of BIDS, BraTS and TCGA are known."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Of --write-split: so many folds instead of one division; splits_final.json is "
            "nnU-Net's, and fold_0_train.txt and so on are lists."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of --write-split: another gives another.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a data set: every file read, classes counted, images found that are there twice.

    The exit code is 1 if there are errors, which would stop a training; warnings are let pass.
    """
    from atrous._files import check_place
    from atrous.cli.data_text import report_text
    from atrous.data.catalog import open_layout
    from atrous.data.check.report import to_record

    if folds is not None and write_split is None:
        raise DataError("--folds is of --write-split FOLDER, which is not given; give it too.")
    if html is not None:
        check_place(html)
    augmentation = None if recipe is None else _augmentation(recipe)
    opened = partial(open_layout, layout, data, num_classes=num_classes, remap=remap, mpp=mpp)
    samples = opened(split=split, subset=subset)
    _check_recipe(samples, layout, recipe)
    report = _check(samples, others := _others(opened, split, against or ()))
    title = _title(data, layout, split, subset)
    record = to_record(report)
    text = report_text(report, title=title)
    if write_split is not None:
        wish = _Division(share=share, folds=folds, seed=seed, group_by=group_by)
        counts = _write_split(samples, report, write_split, layout, wish)
        record["split"] = counts
        text += f"\n{_split_text(counts, write_split)}"
    if html is not None:
        _write_page(html, title, report, samples, others, augmentation)
        text += f"\npage: {html}"
    typer.echo(json.dumps(record, indent=1) if as_json else text)
    if report.errors:
        raise typer.Exit(1)


def _split_text(counts: "Mapping[str, int]", folder: Path) -> str:
    if "folds" in counts:
        return (
            f"split: {counts['folds']} folds in {folder / 'splits_final.json'} and lists beside "
            f"it; the first learns from {counts['train']} names and is measured on {counts['val']}"
        )
    text = (
        f"split: {counts['train']} names in {folder / _TRAIN}, {counts['val']} in {folder / _VAL}"
    )
    if "undivided_subjects" in counts:
        text += f"; {counts['undivided_subjects']} subjects with several samples are undivided"
    return text


def _check_recipe(samples: "Dataset", layout: str, recipe: Path | None) -> None:
    if recipe is not None and samples.kind == "volumes":
        raise DataError(
            f"--recipe shows how images are varied, and {layout} holds volumes; expected images; "
            "leave it out."
        )


def _augmentation(recipe: Path) -> "Augmentation":
    from atrous.training.recipe.file import read_recipe
    from atrous.training.run.data import augmentation_of

    return augmentation_of(read_recipe(recipe))


def _title(data: Path, layout: str, split: str | None, subset: Path | None) -> str:
    parts = [split, subset and f"subset {subset.name}", f"layout {layout}"]
    return f"{data.resolve().name} ({', '.join(part for part in parts if part)})"


def _check(samples: "Dataset", others: "Mapping[str, Dataset]") -> "DataReport":
    from atrous.cli.progress import progress
    from atrous.data.check.check import check_layout

    total = len(samples) + sum(len(other) for other in others.values())
    with progress("read", total) as advance:
        return check_layout(samples, against=others, advance=advance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Division:
    """How `--write-split` divides: into two parts, or into folds."""

    share: float
    folds: int | None
    seed: int
    group_by: str | None


def _others(
    opened: "Callable[..., Dataset]", split: str | None, against: Sequence[str]
) -> "dict[str, Dataset]":
    """What should share no image with the data: other splits, and parts by lists of names."""
    lists = {Path(other).stem: Path(other) for other in against if other.endswith(".txt")}
    others = {name: opened(split=split, subset=listed) for name, listed in lists.items()}
    return others | {name: opened(split=name) for name in against if not name.endswith(".txt")}


def _write_split(
    samples: "Dataset", report: "DataReport", folder: Path, layout: str, wish: _Division
) -> dict[str, int]:
    """Write both lists, images that are alike or of one subject in one of them, and say how long.

    Samples with errors are in neither.

    Raises:
        DataError: If a part comes out empty, or there is another list already.
    """
    from atrous._files import make_folder, write_text
    from atrous.data.split import fold_names, split_names
    from atrous.data.subjects import subject_groups

    broken = {name for problem in report.errors for name in problem.names}
    alike = [
        [name for name in problem.names if name not in broken]
        for problem in report.warnings
        if problem.kind in ("contradiction", "duplicate_within", "near_within")
    ]
    names = [name for name in samples.names if name not in broken]
    subjects = subject_groups(names, wish.group_by)
    together = [group for group in alike if len(group) > 1] + subjects
    if wish.folds is None:
        parts = split_names(names, share=wish.share, seed=wish.seed, together=together)
        how = f"layout {layout}, share {wish.share:g}, seed {wish.seed}"
        texts = {
            folder / name: _listed(part, how)
            for name, part in zip((_TRAIN, _VAL), parts, strict=True)
        }
        counts = {"train": len(parts[0]), "val": len(parts[1])}
    else:
        held_out = fold_names(names, num_folds=wish.folds, seed=wish.seed, together=together)
        how = f"layout {layout}, {wish.folds} folds, seed {wish.seed}"
        texts = _fold_texts(names, held_out, folder, how)
        counts = {
            "folds": wish.folds,
            "train": len(names) - len(held_out[0]),
            "val": len(held_out[0]),
        }
    make_folder(folder)
    for path, text in texts.items():
        before = path.read_text(encoding="utf-8", errors=_BYTES) if path.exists() else text
        if before != text:
            raise DataError(
                f"{path} is there already and lists other names; expected none or the same; give "
                "another folder, or remove it."
            )
    for path, text in texts.items():
        write_text(path, text, errors=_BYTES)
    return counts | ({"undivided_subjects": len(subjects)} if subjects else {})


_BYTES = "surrogateescape"
"""Names that are no UTF-8 are listed as they are, so that the list can be read back."""


def _fold_texts(
    names: Sequence[str], held_out: Sequence[Sequence[str]], folder: Path, how: str
) -> dict[Path, str]:
    """Lists of every fold, and all in one file as nnU-Net keeps them."""
    texts, record = {}, []
    for number, fold in enumerate(held_out):
        learned = [name for name in names if name not in set(fold)]
        record.append({"train": learned, "val": list(fold)})
        for part, listed in (("train", learned), ("val", fold)):
            texts[folder / f"fold_{number}_{part}.txt"] = _listed(listed, f"{how}, fold {number}")
    return {**texts, folder / "splits_final.json": json.dumps(record, indent=1) + "\n"}


def _listed(names: Sequence[str], how: str) -> str:
    from atrous.data.layouts.name_list import names_text

    return f"# {len(names)} names; {how}\n{names_text(names)}"


def _write_page(
    path: Path,
    title: str,
    report: "DataReport",
    samples: "Dataset",
    others: "Mapping[str, Dataset]",
    augmentation: "Augmentation | None",
) -> None:
    from atrous._files import write_text
    from atrous.pipelines.provenance import facts
    from atrous.reports.data.page import data_page

    page = data_page(
        title=title,
        report=report,
        samples=samples,
        others=others,
        facts=facts(),
        augmentation=augmentation,
    )
    write_text(path, page)
