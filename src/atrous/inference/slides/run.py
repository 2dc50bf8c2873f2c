"""Run a slide tile by tile: reading ahead of the network, results on disk as they come.

Whatever is done is noted in a journal with its checksum. A run that was killed, at any moment,
goes on by the same command, and what it ends with is the same to the byte.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous._argmax import argmax_classes
from atrous._journal import Journal
from atrous.data.slides.read import Slide
from atrous.errors import DataError
from atrous.inference.slides.blend import Blender
from atrous.inference.slides.network import Pixels, SlideNetwork
from atrous.inference.slides.plan import SlidePlan
from atrous.inference.slides.store import LEVELS, Core, SlideStore
from atrous.inference.tiles.grid import Place, Tile

AHEAD: Final = 2
"""Batches whose windows are read while the network runs."""

Advance = Callable[[int], object]
NoteLabels = Callable[[Sequence[Tile], Tensor], object]


def run_slide(
    slide: Slide,
    network: SlideNetwork,
    plan: SlidePlan,
    *,
    store: SlideStore,
    journal: Journal,
    scratch: Path,
    advance: Advance = lambda _: None,
) -> dict[Place, tuple[float, ...]]:
    """Fill the store with the plan's tiles; what the journal names, and is whole, is left alone.

    Args:
        slide: Open.
        network: What is run.
        plan: Of this slide.
        store: Takes the labels.
        journal: Of this run.
        scratch: Folder for windows that wait to be blended.
        advance: Called with the number of tiles that have become done.

    Returns:
        Probabilities of labels by place, of networks that give them.

    Raises:
        DataError: If the slide is broken somewhere, or the disk is full.
    """
    records: list[dict[str, Any]] = journal.records
    known = set(plan.places)
    placed = [(tuple(r.get("place", ())), r) for r in records]
    checksums = {place: r["checksum"] for place, r in placed if place in known and "checksum" in r}
    labels = {place: tuple(r["labels"]) for place, r in placed if place in known and "labels" in r}
    is_whole = {
        place
        for place, checksum in checksums.items()
        if store.checksum(plan.grid.tile(place).core) == checksum
    }
    advance(len(is_whole))
    num_broken = 0
    for core in run_cores(
        slide,
        network,
        plan,
        scratch=scratch,
        is_whole=is_whole,
        with_probabilities=store.has_probabilities,
        note_labels=partial(_note_labels, journal, labels),
    ):
        if len(slide.broken) > num_broken:
            num_broken = len(slide.broken)
            journal.add({"broken": [list(part) for part in slide.broken]})
        # Written, then noted: in this order a kill in between loses nothing.
        journal.add({"place": list(core.tile.place), "checksum": store.write(core)})
        advance(1)
    return labels


def run_cores(
    slide: Slide,
    network: SlideNetwork,
    plan: SlidePlan,
    *,
    scratch: Path,
    is_whole: Set[Place] = frozenset(),
    with_probabilities: bool = False,
    note_labels: NoteLabels = lambda *_: None,
) -> Iterator[Core]:
    """The cores of the plan's tiles, each as soon as it is known.

    Args:
        slide: Open.
        network: What is run.
        plan: Of this slide.
        scratch: Folder for windows that wait to be blended; made if it is needed.
        is_whole: Places whose cores are not wanted.
        with_probabilities: Give them too.
        note_labels: Called with a batch and its labels' probabilities `(B, L)`, of networks that
            give them, before the cores of it come.

    Raises:
        DataError: If the slide is broken somewhere, or the disk is full.
    """
    if plan.context.kind == "blended":
        for core in _run_blended(slide, network, plan, scratch, is_whole, note_labels):
            yield core if with_probabilities else replace(core, probabilities=None)
        return
    todo = [batch for batch in plan.batches() if any(t.place not in is_whole for t in batch)]
    for batch, logits, labels in _outputs(slide, network, plan, todo):
        if labels is not None:
            note_labels(batch, labels)
        for tile, output in zip(batch, logits, strict=True):
            if tile.place in is_whole:
                continue
            inside = output[(slice(None), *tile.inside)]
            classes = argmax_classes(inside).to(torch.uint8).cpu().numpy()
            probabilities = _steps(inside.softmax(0)) if with_probabilities else None
            yield Core(tile=tile, labels=classes, probabilities=probabilities)


def _run_blended(
    slide: Slide,
    network: SlideNetwork,
    plan: SlidePlan,
    scratch: Path,
    is_whole: Set[Place],
    note_labels: NoteLabels,
) -> Iterator[Core]:
    blender = Blender(plan, scratch, num_classes=network.num_classes, finished=is_whole)
    todo = [batch for batch in plan.batches() if any(map(blender.needs, batch))]
    yield from blender.ready()  # a kill may have come between a core's last window and the core
    for batch, logits, labels in _outputs(slide, network, plan, todo):
        if labels is not None:
            note_labels(batch, labels)
        for index, tile in enumerate(batch):
            blender.keep(tile, logits[index])
        yield from blender.ready()


def _note_labels(
    journal: Journal, known: dict[Place, tuple[float, ...]], batch: Sequence[Tile], labels: Tensor
) -> None:
    for tile, row in zip(batch, labels.tolist(), strict=True):
        rounded = tuple(round(value, 6) for value in row)
        if known.get(tile.place) != rounded:
            journal.add({"place": list(tile.place), "labels": rounded})
            known[tile.place] = rounded


def _outputs(
    slide: Slide, network: SlideNetwork, plan: SlidePlan, todo: Sequence[tuple[Tile, ...]]
) -> Iterator[tuple[tuple[Tile, ...], Tensor, Tensor | None]]:
    """Batch by batch what the network says, with reading threads ahead of it."""
    pending: list[tuple[tuple[Tile, ...], list[Future[Pixels]]]] = []
    queue = iter(todo)
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="read") as pool:
        try:
            for batch in queue:
                pending.append((batch, [pool.submit(plan.read, slide, tile) for tile in batch]))
                if len(pending) > AHEAD:
                    yield _output(network, *pending.pop(0))
            while pending:
                yield _output(network, *pending.pop(0))
        finally:
            for _, futures in pending:
                for future in futures:
                    future.cancel()


def _output(
    network: SlideNetwork, batch: tuple[Tile, ...], futures: list["Future[Pixels]"]
) -> tuple[tuple[Tile, ...], Tensor, Tensor | None]:
    windows = [future.result() for future in futures]
    logits, labels = network.run(windows)
    if logits.shape[2:] != windows[0].shape[:2]:
        raise DataError(
            f"A window of {windows[0].shape[:2]} gave masks of {tuple(logits.shape[2:])}; "
            "expected the same size; take another network."
        )
    return batch, logits, labels


def _steps(probabilities: Tensor) -> NDArray[np.uint8]:
    """Probabilities in steps of 1 / 255."""
    return (probabilities * LEVELS).round_().to(torch.uint8).cpu().numpy()
