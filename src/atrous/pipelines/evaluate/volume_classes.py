"""In which classes or regions volumes are scored: the network's, the data's or shared ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from atrous.data.class_map import ClassMap
from atrous.data.combine import Remapped
from atrous.data.dataset import Dataset
from atrous.errors import DataError
from atrous.evaluation.class_names import in_network_classes, is_background, present_classes
from atrous.inference.volumes.predictor import VolumePredictor
from atrous.metrics.volumes import class_regions
from atrous.pipelines.evaluate.settings import EvaluationSettings
from atrous.types import UNLABELLED

Regions = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedClasses:
    """Data and a network, made comparable.

    Attributes:
        samples: The data, in classes that are compared.
        regions: What is scored, as classes of what `labels_of` gives.
        truth_regions: The same, as classes of the samples' masks.
        notes: What is to be said of it.
        shared: `(256,)` uint8, the compared class of every class of the network; None for its own.
    """

    samples: Dataset
    regions: Regions
    truth_regions: Regions
    notes: list[str]
    shared: Tensor | None = None

    def labels_of(self, mask: Tensor) -> Tensor:
        """What the network predicts, `(D, H, W)`, in the classes that are compared."""
        return mask if self.shared is None else self.shared[mask.long()]


def compare_classes(
    samples: Dataset, predictor: VolumePredictor, settings: EvaluationSettings
) -> ComparedClasses:
    """Say in which classes data and network are compared.

    Raises:
        DataError: If there is no case, the data has neither the network's classes nor its regions,
            or the first of a class map's classes is no background.
        UnknownNameError: If a class map names a class that network or data have not.
    """
    if not len(samples):
        raise DataError("The data holds no case; expected some; check the folder or the subset.")
    if settings.class_map is not None:
        return _in_shared_classes(samples, predictor, settings.class_map)
    names = predictor.card.class_names
    regions: Regions = predictor.facts.regions or class_regions(names)
    has_regions = predictor.facts.regions and regions.keys() <= samples.regions.keys()
    try:
        found, note = in_network_classes(samples, names)
    except DataError:
        if not has_regions or settings.html is not None:
            raise
        said = f"the data has other classes; {', '.join(regions)} are taken by its own definition"
        theirs = {name: samples.regions[name] for name in regions}
        return ComparedClasses(samples=samples, regions=regions, truth_regions=theirs, notes=[said])
    notes = [] if note is None else [note]
    if not predictor.facts.regions and samples.class_names is not None:
        here = present_classes(samples, names)
        absent = [name for name in regions if name not in here]
        if absent:
            notes.append(f"not scored, since the data has no such class: {', '.join(absent)}")
            regions = {name: classes for name, classes in regions.items() if name in here}
    return ComparedClasses(samples=found, regions=regions, truth_regions=regions, notes=notes)


def _in_shared_classes(
    samples: Dataset, predictor: VolumePredictor, class_map: ClassMap
) -> ComparedClasses:
    classes = class_map.classes
    if not is_background(classes[0]):
        raise DataError(
            f"{class_map.name}: the first shared class is {classes[0]!r}; expected background, "
            "since the first class of volumes is not scored; put it first."
        )
    table = class_map.network_table(predictor.card.class_names)
    # What the map leaves out of the network's classes is of no region, so wrong where labelled.
    shared = torch.full((UNLABELLED + 1,), len(classes), dtype=torch.uint8)
    shared[: len(table)] = torch.tensor(table, dtype=torch.uint8)
    regions = class_regions(classes)
    return ComparedClasses(
        samples=Remapped(samples, class_map),
        regions=regions,
        truth_regions=regions,
        notes=[f"class map {class_map.name}: scored in the classes {', '.join(classes[1:])}"],
        shared=shared,
    )
