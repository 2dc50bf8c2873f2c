"""A model of volumes: give it a scan, get the class of every voxel."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from atrous.data.volumes.geometry import Volume, VolumeGeometry
from atrous.data.volumes.write import write_mask_volume
from atrous.errors import DataError, ShapeError
from atrous.inference.fold import fold
from atrous.inference.model import Model
from atrous.inference.onednn import use_onednn
from atrous.inference.prediction import Prediction
from atrous.inference.tiles.memory import DEFAULT
from atrous.inference.tiles.sums import KEEP_EVERY, SumsFile, run_tiled
from atrous.inference.volumes.plan import VolumeContext, VolumePlan, check_scan_fits, plan_volume
from atrous.inference.volumes.scan_input import ScanInput, as_volume
from atrous.networks.card import Card
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.preprocessing.volumes import PreparedScan, prepare_scan
from atrous.networks.segmenters.espnet3d import ESPNet3D
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.runtimes.engine import Engine
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSettings:
    """How a scan is run."""

    context: VolumeContext = "auto"
    """Whole, in exact parts, in blended ones, or the first of these that fits."""
    memory: int = DEFAULT
    """Ceiling, bytes."""
    flips: tuple[int, ...] = ()
    """Axes of D, H, W: the logits are the mean over mirroring by every set of them."""

    @property
    def identity(self) -> str:
        """What results depend on; written into them, so its form stays as it is."""
        return (
            f"VolumeOptions(context={self.context!r}, memory={self.memory!r}, flips={self.flips!r})"
        )

    def __post_init__(self) -> None:
        if sorted(set(self.flips)) != sorted(self.flips) or not set(self.flips) <= {0, 1, 2}:
            raise ShapeError(f"Flips {self.flips}; expected each of 0, 1, 2 at most once.")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class VolumePrediction(Prediction):
    """A mask of a scan, `(D, H, W)` on the scan's own grid.

    Attributes:
        plan: How the mask was computed.
        num_resumed: How many parts an earlier run had done.
        working_sizes: The sizes that the mean is over besides the scan's own; the card's where the
            scan is run whole, none where it is run in parts.
        geometry: Where the scan's voxels lie in the world; None of a bare array.
        label_values: What a file holds for each class; empty where that is the class's index.
        notes: How the scan lies outside of what training saw, where it does.
    """

    plan: VolumePlan
    num_resumed: int
    working_sizes: tuple[Size, ...] = ()
    geometry: VolumeGeometry | None = None
    label_values: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def save(self, path: str | Path) -> None:
        """Write the mask as NIfTI, on the scan's own grid.

        Raises:
            DataError: If the scan came as a bare array, or the file cannot be written.
        """
        if self.geometry is None:
            raise DataError(
                "The scan came as a bare array, so where it lies in the world is not known; "
                "expected a file or a Volume; give one of these."
            )
        write_mask_volume(path, _values(self.mask, self.label_values), self.geometry)

    def volumes_ml(self) -> dict[str, float]:
        """Volume of every class in millilitres, by name.

        Raises:
            DataError: If the spacing of the scan is not known.
        """
        if self.spacing is None:
            raise DataError(
                "The spacing of the scan is not known; expected millimetres along D, H, W; give "
                "it to `predict`."
            )
        ml = prod(self.spacing) / 1000
        counts = self.mask.flatten().bincount(minlength=len(self.class_names)).tolist()
        return {name: n * ml for name, n in zip(self.class_names, counts, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeLogits:
    """What a network says of a scan."""

    logits: Tensor
    """`(K, D, H, W)` float32, on the prepared scan's grid."""
    scan: PreparedScan
    """The way back to the scan's own grid."""
    plan: VolumePlan
    """How they were computed."""
    num_resumed: int
    """Parts that an earlier run had done."""


class VolumePredictor(Model):
    """Give it a scan of any size and spacing, get labels on its grid.

    Attributes:
        network: In eval mode, with batch norms folded away.
        card: What it is, what it must be fed, what its classes mean.
        facts: The card's, of volumes.

    Raises:
        DataError: If the card says nothing of volumes.
    """

    kind = "volumes"

    def __init__(
        self,
        network: nn.Module,
        card: Card,
        *,
        device: torch.device | str = "cpu",
        engine: Engine | None = None,
    ) -> None:
        if card.volume is None or card.task != "segmentation":
            raise DataError(
                f"{card.name} takes images; expected a network for volumes, whose card says how "
                "scans are prepared; take another file."
            )
        if engine is not None and card.volume.working_sizes:
            raise DataError(
                f"{card.name} takes the mean over several working sizes, which no exported graph "
                "holds; expected the runtime eager; leave --runtime out."
            )
        self.network = use_onednn(fold(network)).to(device)
        self.engine = engine
        self.card = card
        self.facts: VolumeSpec = card.volume
        self.device = torch.device(device)
        self._identity = _identity(network, card, engine)

    def predict(
        self,
        x: ScanInput,
        options: VolumeSettings | None = None,
        *,
        spacing: Sequence[float] | None = None,
        with_probabilities: bool = False,
        journal: Path | None = None,
        keep_every: float = KEEP_EVERY,
        advance: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> VolumePrediction:
        """The mask of one scan.

        Args:
            x: A file or files, a `Volume`, or an array or tensor `(C, D, H, W)`, or `(D, H, W)` of
                one channel; channels in the order of `facts.channel_names`, axes from feet to
                head, back to front, left to right.
            options: How the scan is run.
            spacing: Of a bare array: millimetres from voxel to voxel along D, H, W.
            with_probabilities: Also give the probability of every class at every voxel.
            journal: A file where what is done is kept, so that a run that was killed goes on by
                the same call and ends with the same bits; the caller removes it.
            keep_every: Seconds between two writes of the journal.
            advance: Called with the number of parts that are done and of all, after each.

        Raises:
            DataError: If the scan cannot be read or does not fit into the memory, or the journal is
                of another run.
            ShapeError: If the scan has other channels, or a bare array needs its spacing.
        """
        ceiling = DEFAULT if options is None else options.memory
        volume = as_volume(x, spacing=spacing, facts=self.facts, ceiling=ceiling)
        said = self.logits(volume, options, journal=journal, keep_every=keep_every, advance=advance)
        is_placed = volume.geometry.header != b""
        return VolumePrediction(
            found_mask=self._labels(said.scan, said.logits),
            probabilities=(
                said.scan.restore_probabilities(said.logits) if with_probabilities else None
            ),
            class_names=self.card.class_names,
            palette=self.card.palette,
            spacing=volume.spacing if is_placed or spacing is not None else None,
            plan=said.plan,
            num_resumed=said.num_resumed,
            working_sizes=self._working_sizes(said.plan),
            geometry=volume.geometry if is_placed else None,
            label_values=tuple(self.facts.label_values),
            notes=tuple(
                self.facts.unlike_training(
                    said.scan.size, said.scan.spacing, file_spacing=volume.spacing
                )
            ),
        )

    def logits(
        self,
        volume: Volume,
        options: VolumeSettings | None = None,
        *,
        journal: Path | None = None,
        keep_every: float = KEEP_EVERY,
        advance: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> VolumeLogits:
        """What the network says of one scan, on the prepared grid; arguments as of `predict`."""
        options = options or VolumeSettings()
        num_classes = len(self.card.class_names)
        check_scan_fits(
            volume.array.shape[1:],
            volume.spacing,
            self.facts,
            num_classes=num_classes,
            ceiling=options.memory,
        )
        scan = prepare_scan(volume.array, volume.spacing, self.facts)
        x = torch.from_numpy(scan.image)[None]
        if isinstance(self.network, Segmenter):
            x = self.network.pad(x)
            inside = tuple(slice(0, length) for length in scan.size)
            scan = replace(scan, image=x[0].numpy()[(slice(None), *inside)])  # not held twice
        size = tuple(x.shape[2:])
        plan = plan_volume(
            self.network,
            size,
            in_channels=x.shape[1],
            num_classes=num_classes,
            wish=options.context,
            window=self.facts.window,
            is_mean=bool(options.flips or self.facts.working_sizes),
            scan_bytes=None if scan.box_size == scan.size == scan.whole else volume.array.nbytes,
            ceiling=options.memory,
        )
        run = self._run_of(volume, plan, options)
        kept = SumsFile(journal, run=run, keep_every=keep_every)
        done = count(kept.num_done + 1)
        logits = run_tiled(
            lambda window: self._logits(window, plan, options),
            x,
            plan.parts,
            is_blended=plan.kind == "blended",
            kept=kept,
            advance=lambda: advance(next(done), len(plan.parts)),
        )
        logits = logits[(slice(None), *(slice(0, length) for length in scan.size))]
        return VolumeLogits(logits=logits, scan=scan, plan=plan, num_resumed=kept.num_done)

    def identify(self, volume: Volume, options: VolumeSettings) -> str:
        """What a result depends on, as a digest: network, card, scan, options."""
        return self._digest(volume, options.identity)

    def _run_of(self, volume: Volume, plan: VolumePlan, options: VolumeSettings) -> str:
        """The same for what is half done, where memory counts by the plan that came of it."""
        # In the form of the first journals, so that these go on.
        parts = [f"Part(window={part.window!r}, core={part.core!r})" for part in plan.parts]
        ended = ", ".join(parts) + "," * (len(parts) == 1)
        return self._digest(volume, f"({plan.kind!r}, ({ended}), {options.flips!r})")

    def _digest(self, volume: Volume, how: str) -> str:
        digest = hashlib.blake2b(self._identity, digest_size=16)
        digest.update(_bytes(volume.array))
        digest.update(volume.geometry.header)
        digest.update(how.encode())
        return digest.hexdigest()

    def _working_sizes(self, plan: VolumePlan) -> tuple[Size, ...]:
        """A part has no size that stands for the whole scan's, so its mean is over none."""
        is_whole = plan.kind == "whole" and isinstance(self.network, ESPNet3D)
        return tuple(self.facts.working_sizes) if is_whole else ()

    @torch.inference_mode()
    def _logits(self, window: Tensor, plan: VolumePlan, options: VolumeSettings) -> Tensor:
        """Of a window, the mean over flips and working sizes: `(K, d, h, w)` float32."""
        window = window.to(self.device)
        sizes = self._working_sizes(plan)
        flips = [
            tuple(2 + axis for axis in chosen)
            for count in range(len(options.flips) + 1)
            for chosen in combinations(options.flips, count)
        ]
        total: Tensor | None = None
        for dims in flips:
            mirrored = window.flip(dims) if dims else window
            outputs = [(self.engine or self.network)(mirrored)]
            if sizes:
                outputs += [self.network(mirrored, working_size=size) for size in sizes]
            for output in outputs:
                logits = output[0].flip([dim - 1 for dim in dims]) if dims else output[0]
                total = logits if total is None else total.add_(logits)
        assert total is not None  # the empty set of flips is always there
        count = len(flips) * (1 + len(sizes))
        return total.div_(count).float().cpu() if count > 1 else total.float().cpu()

    def _labels(self, scan: PreparedScan, logits: Tensor) -> Tensor:
        labels = scan.restore_classes(logits)
        for name in self.facts.largest_only:
            keep_largest(labels, self.card.class_names.index(name))
        return labels


def keep_largest(labels: Tensor, index: int) -> None:
    """In place, class `index` becomes class 0 but in its largest part, corners connecting."""
    mine = labels.numpy() == index
    parts, count = ndimage.label(mine, structure=np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        labels.numpy()[mine & (parts != 1 + int(sizes.argmax()))] = 0


def file_values(mask: Tensor, facts: VolumeSpec) -> Tensor:
    """What is written for class indices, by the card."""
    return _values(mask, facts.label_values)


def _values(mask: Tensor, label_values: Sequence[int]) -> Tensor:
    return torch.tensor(label_values, dtype=torch.uint8)[mask.long()] if label_values else mask


def class_indices(values: Tensor, facts: VolumeSpec) -> Tensor:
    """The way back from `file_values`: uint8."""
    if not facts.label_values:
        return values.to(torch.uint8)
    table = torch.zeros(256, dtype=torch.uint8)
    table[list(facts.label_values)] = torch.arange(len(facts.label_values), dtype=torch.uint8)
    return table[values.long()]


def _bytes(array: NDArray[np.float32]) -> memoryview:
    """What `tobytes` gives, without a copy where the array is whole."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _identity(network: nn.Module, card: Card, engine: Engine | None) -> bytes:
    digest = hashlib.blake2b(card.to_json().encode(), digest_size=16)
    if engine is not None:  # it holds the weights, and names them
        digest.update(str(engine).encode())
        return digest.digest()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()
