"""One slide from file to folder: plan, lock, run, write."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from atrous._files import make_folder, write_text
from atrous._journal import Journal
from atrous.data.check.fingerprint import file_state
from atrous.data.slides.frame import frame_record
from atrous.data.slides.read import Slide, open_slide
from atrous.errors import DataError, UnknownNameError
from atrous.inference import Predictor
from atrous.inference.slides.lock import hold
from atrous.inference.slides.network import SlideNetwork
from atrous.inference.slides.plan import SlidePlan, plan_slide
from atrous.inference.slides.run import run_slide
from atrous.inference.slides.seam import SeamError, seam_error
from atrous.inference.slides.store import SlideStore
from atrous.inference.tiles.memory import DEFAULT, MemoryModel, memory_model, parse_memory
from atrous.inference.tiles.mode import Context, choose_context
from atrous.pipelines.progress import OnProgress, Progress, counter, ignore
from atrous.reports.manifest import NOTE, differing
from atrous.reports.slides.probability_tiff import write_probability_tiff
from atrous.reports.slides.results import SlideFacts, write_slide_results

if TYPE_CHECKING:
    from atrous.pipelines.predict.options import SlideOptions

_WORK: Final = ".work"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideModel:
    """A network with what holds for it on every slide.

    Attributes:
        network: Runs windows.
        context: How a slide is cut.
        memory: What a run takes.
        weights: Name of the card, and the file's SHA-256.
    """

    network: SlideNetwork
    context: Context
    memory: MemoryModel
    weights: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """What is said of a slide that is done."""

    record: dict[str, Any]

    @property
    def line(self) -> str:
        """For people."""
        note = self.record
        areas = sorted(note["areas_mm2"].items(), key=lambda item: -item[1])
        tissues = ", ".join(f"{name} {area:.3g} mm²" for name, area in areas[:4] if area > 0)
        share = note["seam"]["share_of_labels"]
        seam = "no seams" if share is None else f"{share:.4%} of labels differ at seams"
        before = " (done before)" if note.get("was_done") else ""
        return f"{note['tiles']} tiles, {note['context']['kind']}, {seam}: {tissues}{before}"


def prepare_model(predictor: Predictor, options: "SlideOptions") -> SlideModel:
    """Decide what holds for all slides: context and size of tiles.

    Raises:
        DataError: If nothing fits into the memory, or exact tiles are asked for and cannot be.
        UnknownNameError: If a class is to be left out that the network does not have.
    """
    for name in options.omit:
        if name not in predictor.card.class_names:
            raise UnknownNameError("class", name, predictor.card.class_names)
    network = SlideNetwork(predictor)
    masks = network.masks()
    ceiling = DEFAULT if options.memory is None else parse_memory(options.memory)
    model = memory_model(
        masks,
        ceiling=ceiling,
        num_classes=network.num_classes,
        keeps=options.probabilities or options.context == "blended",
    )
    core_for = partial(model.core_for, wanted=options.tile)
    context = choose_context(masks, wish=options.context, core_for=core_for)
    if not context.core:
        smallest, halo = options.tile or context.alignment[0], context.halo[0]
        needed = model.needed((smallest + 2 * halo,) * 2)
        raise DataError(
            f"Tiles of {smallest} px with {halo} px around them need about "
            f"{needed / 1e9:.1f} GB, but the ceiling is {ceiling / 1e9:.1f} GB; give more --memory"
            f"{', smaller --tile' if options.tile else ''} or a smaller network."
        )
    return SlideModel(
        network=network,
        context=context,
        memory=model,
        weights={"name": predictor.card.name, "sha256": predictor.fingerprint},
    )


def plan_of(
    model: SlideModel, slide: Slide, options: "SlideOptions", *, limit: int | None = None
) -> SlidePlan:
    """How a slide would be run.

    Args:
        model: What is run.
        slide: Open.
        options: Of the command line.
        limit: Plan the first so many tiles only, for benchmarks.

    Raises:
        DataError: If no tissue is found on it.
    """
    card_mpp = model.network.predictor.card.mpp
    at = options.at_mpp or card_mpp
    plan = plan_slide(
        slide,
        mpp=slide.mpp if at is None else (at, at),
        context=model.context,
        all_tiles=options.all_tiles,
    )
    return replace(plan, places=plan.places[:limit])


def run_job(
    model: SlideModel,
    path: Path,
    folder: Path,
    options: "SlideOptions",
    *,
    name: str,
    may_overwrite: bool,
    on_progress: OnProgress = ignore,
) -> SlideSummary:
    """Run one slide, or go on with it, or find it done.

    Raises:
        LockedError: If another process runs it.
        DataError: If it cannot be run, or its folder holds results of another run.
    """
    with open_slide(path, mpp=options.mpp) as slide:
        plan = plan_of(model, slide, options)
        identity = _identity(model, slide, plan, options, name=name)
        existed = folder.exists()
        make_folder(folder)
        try:
            with hold(folder / _LOCK):
                for part in folder.glob(".*.part"):  # of a run that was killed as it wrote them
                    part.unlink(missing_ok=True)
                if may_overwrite:
                    (folder / NOTE).unlink(missing_ok=True)
                    shutil.rmtree(folder / _WORK, ignore_errors=True)
                if (note := _done(folder, identity)) is not None:
                    return SlideSummary({**note, "was_done": True})
                note = _run(model, slide, plan, folder, identity, options, on_progress)
                return SlideSummary(note)
        except BaseException:
            if not existed and not any(folder.glob(f"{_WORK}/journal")):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _run(
    model: SlideModel,
    slide: Slide,
    plan: SlidePlan,
    folder: Path,
    identity: dict[str, Any],
    options: "SlideOptions",
    on_progress: OnProgress,
) -> dict[str, Any]:
    name = str(identity["slide"]["name"])
    work = folder / _WORK
    make_folder(work)
    card = model.network.predictor.card
    with Journal(work / "journal", run=identity) as journal:
        store = SlideStore(
            work / "store",
            size=plan.grid.size,
            chunk=plan.grid.core,
            num_classes=model.network.num_classes if options.probabilities else 0,
        )
        labels = run_slide(
            slide,
            model.network,
            plan,
            store=store,
            journal=journal,
            scratch=work / "windows",
            advance=counter(on_progress, name, len(plan.places)),
        )
        seam = seam_error(slide, model.network, plan, store)
    num_labels = len(next(iter(labels.values()), ()))
    facts = SlideFacts(
        name=name,
        slide=slide,
        plan=plan,
        card=card,
        label_map=store,
        labels=labels,
        smallest_um2=options.min_region,
        frame=options.frame,
        omitted=options.omit,
        label_names=card.label_names or tuple(f"label {i}" for i in range(num_labels)),
    )
    areas = _write(folder, facts, store, options, on_progress)
    note = {**identity, **_record(plan, identity, seam), "areas_mm2": areas}
    write_text(folder / NOTE, json.dumps(note, indent=1) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return note


def _write(
    folder: Path,
    facts: SlideFacts,
    store: SlideStore,
    options: "SlideOptions",
    on_progress: OnProgress,
) -> dict[str, float]:
    """Write the files of a slide that was run; areas of the classes in mm² come back."""

    def say(what: str) -> None:
        on_progress(Progress(task=facts.name, status=what))

    features = write_slide_results(folder, facts, say=say)
    names = facts.card.class_names
    if options.probabilities:
        say("probabilities")
        path = folder / "probabilities.ome.tif"
        write_probability_tiff(store, path, class_names=names, mpp=facts.map_mpp)
    return {name: round(float(area), 9) for name, area in zip(names, features.areas, strict=True)}


def _record(plan: SlidePlan, identity: Mapping[str, Any], seam: SeamError) -> dict[str, Any]:
    """How a slide was run, for its note."""
    return {
        "tiles": len(plan.places),
        "tiles_of_the_slide": len(plan.grid),
        "context": {**identity["context"], "reason": plan.context.reason},
        "seam": {
            "protocol": "labels around corners of four tiles against windows centred there",
            "corners": seam.num_seams,
            "labels": seam.num_pixels,
            "different": seam.num_different,
            "share_of_labels": seam.share,
        },
    }


def _identity(
    model: SlideModel, slide: Slide, plan: SlidePlan, options: "SlideOptions", *, name: str
) -> dict[str, Any]:
    """What the results depend on; not on times, places or the number of processes."""
    return {
        "slide": {
            "name": name,
            "state": file_state(slide.path),
            "size": list(slide.levels[0].size),
            "mpp": list(slide.mpp),
        },
        "weights": dict(model.weights),
        "versions": {"atrous": version("atrous"), "torch": version("torch")},
        "grid": {
            "size": list(plan.grid.size),
            "mpp": list(plan.mpp),
            "scale": list(plan.scale),
            "core": plan.grid.core[0],
        },
        "context": {"kind": plan.context.kind, "halo": plan.grid.halo[0]},
        "all_tiles": options.all_tiles,
        "probabilities": options.probabilities,
        "min_region_um2": options.min_region,
        "frame": {
            "regions.geojson": frame_record(slide, options.frame),
            "labels.ome.tif": frame_record(slide, "level0"),
        },
        "omit": list(options.omit),
    }


def _done(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The note of a run that is finished.

    Raises:
        DataError: If it is of another run.
    """
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        known = {key: note.get(key) for key in identity}
        known["context"] = {key: note["context"][key] for key in identity["context"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder / NOTE} cannot be read ({error!r}); expected the note of a run; remove it, "
            "or give --overwrite."
        ) from error
    if apart := differing(known, identity):
        raise DataError(
            f"{folder} holds results of another run (it differs in {', '.join(apart)}); give "
            "another folder, or --overwrite."
        )
    return note
