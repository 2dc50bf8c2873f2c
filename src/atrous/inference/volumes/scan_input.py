"""What a model of volumes takes as a scan: files, a `Volume`, or a bare array."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.volumes.geometry import Volume, VolumeGeometry
from atrous.data.volumes.read import DEFAULT_MAX_BYTES, is_volume, read_volume
from atrous.errors import DataError, ShapeError
from atrous.networks.preprocessing.volume_spec import VolumeSpec

ScanInput: TypeAlias = str | Path | Sequence[str | Path] | Volume | NDArray[np.generic] | Tensor
"""A file of all channels, a file for each channel, a `Volume`, or an array `(C, D, H, W)`."""


def as_volume(
    x: ScanInput,
    *,
    spacing: Sequence[float] | None,
    facts: VolumeSpec,
    ceiling: int = DEFAULT_MAX_BYTES,
) -> Volume:
    """A scan in the library's orientation.

    Args:
        x: What the caller has.
        spacing: Of a bare array: millimetres from voxel to voxel along D, H, W.
        facts: What the network must be fed.
        ceiling: Bytes that reading it may take.

    Raises:
        DataError: If a file is no volume, or cannot be read.
        ShapeError: If a bare array has other axes, is empty, holds what is not finite, or lacks a
            spacing that the network needs.
    """
    if isinstance(x, Volume):
        return x
    if isinstance(x, str | Path):
        x = [x]
    if isinstance(x, np.ndarray | Tensor):
        return _bare(x, spacing, facts)
    other = next((path for path in x if not is_volume(Path(path))), None)
    if other is not None:
        raise DataError(
            f"{other} is no volume, and the network takes scans with the channels "
            f"{', '.join(facts.channel_names)}; expected a scan, such as .nii.gz; give another, or "
            "take a network for photos."
        )
    return read_volume(list(x), max_bytes=ceiling)


def _bare(
    x: NDArray[np.generic] | Tensor, spacing: Sequence[float] | None, facts: VolumeSpec
) -> Volume:
    values = x.detach().cpu().float().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if values.ndim == 3 and len(facts.channel_names) == 1:
        values = values[np.newaxis]
    if values.ndim != 4 or values.shape[0] != len(facts.channel_names) or not values.size:
        raise ShapeError(
            f"A scan of shape {tuple(x.shape)} was given; expected (C, D, H, W) with the channels "
            f"{', '.join(facts.channel_names)}; add or drop axes."
        )
    if not np.isfinite(values).all():
        raise ShapeError("The scan holds NaN or infinity; expected finite numbers; replace them.")
    if spacing is None and facts.spacing is not None:
        raise ShapeError(
            "A bare array has no spacing, which the network needs; expected millimetres along D, "
            "H, W; give spacing=(…, …, …), or the scan's file."
        )
    d, h, w = (1.0, 1.0, 1.0) if spacing is None else map(float, spacing)
    if not min(d, h, w) > 0:
        raise ShapeError(f"The spacing is {(d, h, w)}; expected millimetres above 0; change it.")
    return Volume(
        array=np.ascontiguousarray(values, np.float32),
        spacing=(d, h, w),
        geometry=_nowhere(values.shape[1:], (d, h, w)),
    )


def _nowhere(size: Sequence[int], spacing: tuple[float, float, float]) -> VolumeGeometry:
    """A geometry without a header: of voxels whose place in the world is not known."""
    d, h, w = size
    affine = torch.diag(torch.tensor([*reversed(spacing), 1.0], dtype=torch.float64)).tolist()
    return VolumeGeometry(
        header=b"",
        version=1,
        shape=(w, h, d),
        affine=tuple(tuple(row) for row in affine),
        sform_code=0,
        qform_code=0,
        unit="mm",
        axes=(2, 1, 0),
        is_reversed=(False, False, False),
    )
