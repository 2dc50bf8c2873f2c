"""From a scan to what a network of volumes is fed, and from its logits back to the scan's grid.

Grids are resampled so that their outer borders stay where they are: voxel centres lie at halves.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous._argmax import argmax_classes
from atrous.errors import ShapeError
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.types import Size

_ORDERS = {"linear": 1, "cubic": 3}
_FLAT = 1e-8
"""Deviations below this are of a channel that holds one value."""
_LARGE = 2**25
"""Voxels of a channel above which statistics are taken plane by plane."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedScan:
    """A scan as the network is fed it, and what undoes it."""

    image: NDArray[np.float32]
    """`(C, D, H, W)` on the network's grid."""
    spacing: tuple[float, float, float]
    """Of that grid, mm."""
    box: tuple[slice, slice, slice]
    """Where it lies in the scan."""
    whole: Size
    """`(D, H, W)` of the scan."""

    @property
    def size(self) -> Size:
        """`(D, H, W)` of the network's grid."""
        return self.image.shape[1:]

    @property
    def box_size(self) -> Size:
        """`(D, H, W)` of the box, in the scan's voxels."""
        return tuple(part.stop - part.start for part in self.box)

    def prepare_labels(self, labels: Tensor) -> Tensor:
        """Labels of the scan `(D, H, W)` on the network's grid, by nearest neighbour."""
        if tuple(labels.shape) != self.whole:
            raise ShapeError(
                f"Labels of size {tuple(labels.shape)} for a scan of {self.whole}; expected one a "
                "voxel."
            )
        inside = labels[self.box]
        if self.box_size == self.size:
            return inside.contiguous()
        return torch.from_numpy(_resampled(inside.numpy(), self.size, order=0))

    def restore_classes(self, logits: Tensor) -> Tensor:
        """The likeliest class of every voxel of the scan: `(D, H, W)` uint8.

        Args:
            logits: `(K, D, H, W)` on the network's grid; interpolated linearly to the scan's.
        """
        inside = _likeliest(logits, self.box_size)
        if self.box_size == self.whole:
            return inside
        labels = torch.zeros(self.whole, dtype=torch.uint8)
        labels[self.box] = inside
        return labels

    def restore_probabilities(self, logits: Tensor) -> Tensor:
        """The probability of every class at every voxel of the scan: `(K, D, H, W)` float32.

        Logits are interpolated first, as `restore_classes` does, so that the likeliest class is the
        same. Outside the box class 0 is certain.

        Args:
            logits: `(K, D, H, W)` on the network's grid.
        """
        found = torch.zeros((len(logits), *self.whole))
        found[0] = 1
        inside = found[(slice(None), *self.box)]
        for index, plane in enumerate(logits):
            inside[index] = _at_size(plane, self.box_size)
        inside -= inside.max(dim=0).values
        inside.exp_()
        inside /= inside.sum(dim=0)
        return found


def prepare_scan(
    array: NDArray[np.float32], spacing: tuple[float, float, float], facts: VolumeSpec
) -> PreparedScan:
    """Crop, normalise and resample a scan as its network's card says.

    Args:
        array: `(C, D, H, W)`, in the order of `facts.channel_names`.
        spacing: mm along D, H, W.
        facts: Of the card.

    Raises:
        ShapeError: If the scan has other channels.
    """
    if len(array) != len(facts.channel_names):
        raise ShapeError(
            f"The scan has {len(array)} channels; expected {len(facts.channel_names)}: "
            f"{', '.join(facts.channel_names)}."
        )
    inside = _inside(array, facts)
    box = _box_of(inside) if facts.crop == "nonzero" else _whole_box(array)
    part = (slice(None), *box)
    image = array[part] if facts.clip_values is None else array[part].clip(*facts.clip_values)
    image = _normalised(image, inside[part], facts)
    steps = spacing
    if facts.spacing is not None:
        size = network_size(image.shape[1:], spacing, facts)
        order = _ORDERS[facts.interpolation]
        if size != image.shape[1:]:
            image = np.stack([_resampled(channel, size, order=order) for channel in image])
        steps = facts.spacing
    return PreparedScan(
        image=np.ascontiguousarray(image, np.float32),
        spacing=steps,
        box=box,
        whole=array.shape[1:],
    )


def network_size(size: Size, spacing: tuple[float, float, float], facts: VolumeSpec) -> Size:
    """`(D, H, W)` of a scan of that size and spacing on the network's grid."""
    if facts.spacing is None:
        return size
    return tuple(
        max(1, round(length * own / wanted))
        for length, own, wanted in zip(size, spacing, facts.spacing, strict=True)
    )


def _whole_box(array: NDArray[np.generic]) -> tuple[slice, slice, slice]:
    depth, height, width = array.shape[1:]
    return slice(0, depth), slice(0, height), slice(0, width)


def _inside(array: NDArray[np.float32], facts: VolumeSpec) -> NDArray[np.bool_]:
    """Voxels of each channel that are not around the head."""
    if facts.outside == "zero":
        return array != 0
    # A channel that is 0 all over is one that is missing: its lowest value is 0, too.
    return array != array.min(axis=(1, 2, 3), keepdims=True)


def _box_of(inside: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The smallest box with all voxels that are inside in some channel; all of an empty scan."""
    found = ndimage.find_objects(inside.any(axis=0).astype(np.uint8))
    return found[0] if found else _whole_box(inside)


def _normalised(
    image: NDArray[np.float32], insides: NDArray[np.bool_], facts: VolumeSpec
) -> NDArray[np.float32]:
    if facts.normalise == "none":
        return image
    result = np.empty(image.shape, np.float32)
    for channel, within, out in zip(image, insides, result, strict=True):
        inside = within if facts.is_inside else np.broadcast_to(np.True_, channel.shape)
        if not inside.any():
            out[:] = 0
            continue
        if facts.normalise == "z_score":
            centre, scale = _mean_and_deviation(channel, inside)
        else:
            low = channel.min(where=inside, initial=np.inf)
            high = channel.max(where=inside, initial=-np.inf)
            centre, scale = float(low), float(high) - float(low)
        for plane, within_plane, out_plane in zip(channel, inside, out, strict=True):
            # Plane by plane, since the difference is float64 for a moment.
            out_plane[:] = (plane - centre) / max(scale, _FLAT)
            out_plane[~within_plane] = 0
    return result


def _mean_and_deviation(
    channel: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[float, float]:
    """Of the values inside; of large scans plane by plane, so that no copy in float64 is made."""
    if channel.size <= _LARGE:
        values = channel[inside].astype(np.float64)
        return float(values.mean()), float(values.std())
    planes = [plane[within] for plane, within in zip(channel, inside, strict=True)]
    count = sum(len(plane) for plane in planes)
    mean = sum(float(plane.sum(dtype=np.float64)) for plane in planes) / count
    squares = sum(float(((plane - mean) ** 2).sum(dtype=np.float64)) for plane in planes)
    return mean, float(np.sqrt(squares / count))


def _resampled(values: NDArray[np.generic], size: Size, *, order: int) -> NDArray[np.generic]:
    factors = [new / old for new, old in zip(size, values.shape, strict=True)]
    result: NDArray[np.generic] = ndimage.zoom(
        values, factors, order=order, mode="nearest", grid_mode=True
    )
    return result


def _likeliest(logits: Tensor, size: Size) -> Tensor:
    """Class by class, so that one more map of the scan's size is held and no more."""
    if tuple(logits.shape[1:]) == size:
        return argmax_classes(logits).to(torch.uint8)
    best = torch.full(size, -torch.inf)
    labels = torch.zeros(size, dtype=torch.uint8)
    for index, plane in enumerate(logits):
        full = _at_size(plane, size)
        labels.masked_fill_(full > best, index)
        torch.maximum(best, full, out=best)
        del full
    return labels


def _at_size(plane: Tensor, size: Size) -> Tensor:
    """One class's logits `(D, H, W)` on another grid of the same extent."""
    if tuple(plane.shape) == size:
        return plane
    full = F.interpolate(plane[None, None], size=size, mode="trilinear", align_corners=False)
    return full[0, 0]
