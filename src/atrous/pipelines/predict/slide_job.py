"""One slide from file to folder: plan, lock, run, write."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from atrous._documents import read_json
from atrous._files import make_folder, write_text
from atrous._journal import Journal
from atrous.data.check.fingerprint import file_state
from atrous.data.slides.frame import frame_record
from atrous.data.slides.read import Slide
from atrous.errors import DataError
from atrous.inference.slides.broken import broken_boxes, broken_notes
from atrous.inference.slides.cut_map import CutMap
from atrous.inference.slides.lock import hold
from atrous.inference.slides.plan import NoTissueError, SlidePlan
from atrous.inference.slides.run import run_slide
from atrous.inference.slides.seam import SeamError, seam_error
from atrous.inference.slides.store import SlideStore
from atrous.pipelines.predict.slide_model import SlideModel, open_with, plan_of
from atrous.pipelines.predict.slide_regions import SlideRegions, choose_regions
from atrous.pipelines.progress import OnProgress, Progress, counter, ignore
from atrous.reports.manifest import NOTE, differing
from atrous.reports.slides.probability_tiff import write_probability_tiff
from atrous.reports.slides.results import THUMBNAIL, SlideFacts, write_slide_results
from atrous.reports.slides.tissue_picture import write_tissue_picture

if TYPE_CHECKING:
    from atrous.pipelines.predict.options import SlideOptions

_WORK: Final = ".work"
_LOCK: Final = ".lock"
_TISSUE: Final = "tissue.png"


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
    with open_with(path, options) as slide:
        for said in slide.notes:
            on_progress(Progress(task=name, problem=f"note: {name}: {said}"))
        slide.pass_over_broken()
        regions = choose_regions(slide, options, name=name)
        try:
            plan = plan_of(model, slide, options, regions)
        except NoTissueError as error:
            whole = replace(plan_of(model, slide, replace(options, all_tiles=True)), places=())
            make_folder(folder)
            picture = folder / _TISSUE
            write_tissue_picture(
                picture, slide.read_thumbnail(THUMBNAIL), regions.chosen, whole, by=regions.by
            )
            raise NoTissueError(f"{error} What was seen is in {picture}.") from error
        identity = _identity(model, slide, plan, options, name=name) | {"run": regions.record}
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
                job = _Job(model, slide, plan, regions, folder, identity, options, on_progress)
                note = _run(job)
                return SlideSummary(note)
        except BaseException:
            if not existed and not any(folder.glob(f"{_WORK}/journal")):
                shutil.rmtree(folder, ignore_errors=True)
            raise


@dataclass(frozen=True, slots=True)
class _Job:
    """A slide that is run."""

    model: SlideModel
    slide: Slide
    plan: SlidePlan
    regions: SlideRegions
    folder: Path
    identity: dict[str, Any]
    options: "SlideOptions"
    on_progress: OnProgress

    @property
    def name(self) -> str:
        return str(self.identity["slide"]["name"])

    def say(self, what: str) -> None:
        self.on_progress(Progress(task=self.name, status=what))


def _run(job: _Job) -> dict[str, Any]:
    slide, plan, options = job.slide, job.plan, job.options
    work = job.folder / _WORK
    make_folder(work)
    card, network = job.model.network.predictor.card, job.model.network
    thumbnail = slide.read_thumbnail(THUMBNAIL)
    write_tissue_picture(
        job.folder / _TISSUE, thumbnail, job.regions.chosen, plan, by=job.regions.by
    )
    with Journal(work / "journal", run=job.identity) as journal:
        store = SlideStore(
            work / "store",
            size=plan.grid.size,
            chunk=plan.grid.core,
            num_classes=network.num_classes if options.probabilities else 0,
        )
        labels = run_slide(
            slide,
            network,
            plan,
            store=store,
            journal=journal,
            scratch=work / "windows",
            advance=counter(job.on_progress, job.name, len(plan.places)),
        )
        seam = seam_error(slide, network, plan, store)
        records: list[dict[str, Any]] = journal.records
        earlier = [part for record in records for part in record.get("broken", ())]
        broken = broken_boxes(slide, plan, earlier)
    roi = job.regions.roi_map(slide, plan, frame=options.frame)
    kept = CutMap(store=store, boxes=broken, roi=roi) if broken or roi is not None else store
    num_labels = len(next(iter(labels.values()), ()))
    facts = SlideFacts(
        name=job.name,
        slide=slide,
        plan=plan,
        card=card,
        label_map=kept,
        labels=labels,
        smallest_um2=options.min_region,
        frame=options.frame,
        omitted=options.omit,
        label_names=card.label_names or tuple(f"label {i}" for i in range(num_labels)),
    )
    areas = _write(job, facts, kept)
    notes = [*slide.notes, *broken_notes(slide, plan, broken)]
    for said in notes[len(slide.notes) :]:
        job.on_progress(Progress(task=job.name, problem=f"note: {job.name}: {said}"))
    note = {**job.identity, **_record(plan, job.identity, seam, notes), "areas_mm2": areas}
    write_text(job.folder / NOTE, json.dumps(note, indent=1) + "\n")
    shutil.rmtree(work, ignore_errors=True)
    return note


def _write(job: _Job, facts: SlideFacts, kept: "SlideStore | CutMap") -> dict[str, float]:
    """Write the files of a slide that was run; areas of the classes in mm² come back."""
    features = write_slide_results(job.folder, facts, say=job.say)
    names = facts.card.class_names
    if job.options.probabilities:
        job.say("probabilities")
        path = job.folder / "probabilities.ome.tif"
        write_probability_tiff(kept, path, class_names=names, mpp=facts.map_mpp)
    return {name: round(float(area), 9) for name, area in zip(names, features.areas, strict=True)}


def _record(
    plan: SlidePlan, identity: Mapping[str, Any], seam: SeamError, notes: Sequence[str]
) -> dict[str, Any]:
    """How a slide was run, for its note."""
    return {
        "notes": list(notes),
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
        "reading": {"mpp": slide.mpp_source, "image": options.image, "icc": options.icc},
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
        note = read_json(folder / NOTE)
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
