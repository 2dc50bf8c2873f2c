"""Read NIfTI volumes and label volumes, turned to one orientation (extra `volumes`).

A header is checked before anything is allocated; voxels that are no numbers are refused, and so are
channels that do not lie on one grid. Files of NIfTI 1 and 2, plain or gzipped, whole in one file.
"""

import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.volumes.geometry import Volume, VolumeGeometry, check_same_grid, to_canonical
from atrous.data.volumes.names import is_volume_name
from atrous.data.volumes.nifti_header import (
    DEFAULT_MAX_VOXELS,
    NiftiHeader,
    cut_off,
    nifti_version,
    read_head,
    read_header,
    unpacked,
)
from atrous.data.volumes.other_formats import is_dicom, is_dicom_folder, read_values
from atrous.errors import DataError

__all__ = [
    "DEFAULT_MAX_VOXELS",
    "Volume",
    "VolumeGeometry",
    "is_volume",
    "read_geometry",
    "read_mask_volume",
    "read_volume",
]

_ROUNDING: Final = 1e-5
"""How far from an integer a label may be: what scaling by a float32 leaves, and nothing more."""

_FINEST_STEPS: Final = 0.05
"""Integers scaled by less than this hold floats, rounded to that step."""
DEFAULT_MAX_BYTES: Final = 4_000_000_000
"""Memory that reading a scan may take, where no ceiling is given."""
_BYTES_OF_LABEL: Final = 16
"""Of a label as it is read, rounded and turned into an index."""
_AT_ONCE: Final = 2**20
_TRAILER: Final = 2**16
"""Bytes that may follow the voxels."""


def is_volume(path: str | Path) -> bool:
    """Whether a path is a volume, by its name (`.nii`, `.nii.gz`, `.nrrd`, …) or how it begins.

    A folder is one if it holds the slices of a DICOM series.
    """
    path = Path(path)
    if is_volume_name(path) or is_dicom_folder(path):
        return path.exists()
    if not path.is_file():
        return False
    if is_dicom(path):
        return True
    try:
        return nifti_version(read_head(path)) is not None
    except DataError:
        return False


def read_volume(
    paths: str | Path | Sequence[str | Path],
    *,
    max_voxels: int = DEFAULT_MAX_VOXELS,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Volume:
    """A scan as `(C, D, H, W)` float32, oriented as `atrous.data.volumes.geometry` says.

    Args:
        paths: One file of three dimensions, or of four, whose fourth are channels; or several, one
            after the other as channels, on one grid but in any order of axes each.
        max_voxels: Refuse more than this many, of all channels together, before any is read.
        max_bytes: Refuse what would take more memory than this, likewise.

    Raises:
        DataError: If a file is missing, broken, cut off, no NIfTI, too large, holds no numbers or
            such as are not finite, does not say where its voxels lie, or if the files' grids
            differ.
        MissingExtraError: If nibabel is not installed.
    """
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not files:
        raise DataError("No file was given for a volume; expected one or more; name them.")
    headers = [read_header(path, max_voxels=max_voxels) for path in files]
    first = headers[0]
    for header in headers[1:]:
        check_same_grid(header.path, header.geometry, of=first.path, like=first.geometry)
    num_channels = sum(header.num_channels for header in headers)
    if num_channels * np.prod(first.geometry.shape) > max_voxels:
        raise DataError(
            f"{first.path} and {len(files) - 1} others: {num_channels} channels of "
            f"{first.geometry.shape} voxels; expected at most {max_voxels:,} voxels together; "
            "give fewer."
        )
    raw = max(header.num_channels * header.dtype.itemsize for header in headers)
    needed = (4 * num_channels + raw) * prod(first.geometry.shape)
    _check_bytes(first.path, needed, max_bytes)
    array = np.empty((num_channels, *first.geometry.size), np.float32)
    start = 0
    for header in headers:
        part = array[start : start + header.num_channels]
        _scale(_values(header, is_scaled=False), header, out=part)
        _check_finite(header.path, part)
        start += header.num_channels
    return Volume(array=array, spacing=first.geometry.spacing, geometry=first.geometry)


def read_mask_volume(
    path: str | Path,
    *,
    like: VolumeGeometry | None = None,
    max_voxels: int = DEFAULT_MAX_VOXELS,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Tensor:
    """Class indices of every voxel: `(D, H, W)` int64, in the orientation of `read_volume`.

    Floats are taken where they are integers to within 0.00001, or to half a step of the file's own
    scaling where floats were stored as scaled integers; others, such as come of interpolating a
    label volume, are refused.

    Args:
        path: A file of three dimensions.
        like: The geometry of the scan that is labelled, to see that both are on one grid.
        max_voxels: Refuse more than this many before any is read.
        max_bytes: Refuse what would take more memory than this, likewise.

    Raises:
        DataError: As `read_volume`, or if values are negative or no integers.
        MissingExtraError: If nibabel is not installed.
    """
    header = read_header(Path(path), max_voxels=max_voxels)
    if header.num_channels != 1:
        raise DataError(
            f"{path}: {header.num_channels} values a voxel; expected one label each; give a label "
            "volume of three dimensions."
        )
    if like is not None:
        check_same_grid(header.path, header.geometry, of=Path("its scan"), like=like)
    _check_bytes(
        header.path,
        (header.dtype.itemsize + _BYTES_OF_LABEL) * prod(header.geometry.shape),
        max_bytes,
    )
    values = _values(header)[0]
    if values.dtype.kind == "f":
        _check_finite(header.path, values)
        whole = np.rint(values)
        far = np.abs(values - whole) > _rounding(header)
        if far.any():
            raise DataError(
                f"{path}: {int(far.sum()):,} labels are no integers, such as "
                f"{float(values[far][0]):.6g}; expected class indices; resample labels by nearest "
                "neighbour, or round them."
            )
        values = whole
    if values.min() < 0:
        raise DataError(
            f"{path}: holds the label {int(values.min())}; expected 0 or more; mend the labels."
        )
    return torch.from_numpy(values.astype(np.int64, order="C"))


def _check_bytes(path: Path, needed: int, max_bytes: int) -> None:
    """See that a scan's values fit, before any is unpacked.

    Raises:
        DataError: If they do not.
    """
    if needed > max_bytes:
        raise DataError(
            f"{path}: its voxels take {needed / 1e9:.1f} GB to read; expected at most "
            f"{max_bytes / 1e9:.1f} GB; raise --memory where the command has it, or crop the scan."
        )


def _rounding(header: NiftiHeader) -> float:
    """How far from an integer a label of this file may be."""
    is_scaled = header.dtype.kind in "iu" and abs(header.slope) < _FINEST_STEPS
    # Half a step, and what a step stored as a float32 leaves.
    return max(_ROUNDING, 0.51 * abs(header.slope)) if is_scaled else _ROUNDING


def read_geometry(path: str | Path) -> VolumeGeometry:
    """Where a file's voxels lie; only its header is read.

    Raises:
        DataError: As `read_volume`, but for what only the voxels show.
        MissingExtraError: If nibabel is not installed.
    """
    return read_header(Path(path)).geometry


def _values(header: NiftiHeader, *, is_scaled: bool = True) -> NDArray[Any]:
    """`(C, D, H, W)`, integers where the file holds such and does not scale them, or not yet."""
    if header.is_other_format:
        found = read_values(header.path)
        return to_canonical(found.transpose(0, 3, 2, 1), header.geometry)
    values = np.empty(header.num_channels * prod(header.geometry.shape), header.dtype)
    try:
        with unpacked(header.path) as file:
            file.seek(header.offset)
            _fill(file, values.view(np.uint8).data)
            file.read(_TRAILER)  # of a packed file, its end: there the checksum is compared
    except (OSError, EOFError, zlib.error) as error:
        raise cut_off(header.path, error) from error
    values = values.reshape(header.num_channels, *reversed(header.geometry.shape))
    values = to_canonical(values.transpose(0, 3, 2, 1), header.geometry)
    if not is_scaled or (header.slope, header.intercept) == (1, 0):
        return values
    return values * header.slope + header.intercept


def _scale(values: NDArray[Any], header: NiftiHeader, *, out: NDArray[np.float32]) -> None:
    """What the file means, plane by plane, since products of the scaling are float64."""
    if (header.slope, header.intercept) == (1, 0):
        out[:] = values
        return
    for channel, out_channel in zip(values, out, strict=True):
        for plane, out_plane in zip(channel, out_channel, strict=True):
            out_plane[:] = plane * header.slope + header.intercept


def _fill(file: IO[bytes], buffer: memoryview) -> None:
    done = 0
    while done < len(buffer):
        part = file.read(min(_AT_ONCE, len(buffer) - done))
        if not part:
            raise EOFError(f"it ends after {done:,} of {len(buffer):,} bytes of voxels")
        buffer[done : done + len(part)] = part
        done += len(part)


def _check_finite(path: Path, values: NDArray[Any]) -> None:
    is_finite = np.isfinite(values)
    if not is_finite.all():
        raise DataError(
            f"{path}: {int((~is_finite).sum()):,} voxels are NaN or infinite; expected numbers; "
            "replace them, by 0 if they lie outside the body."
        )
