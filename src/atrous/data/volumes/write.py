"""Write label volumes as NIfTI, just as the scan's own file lies in the world (extra `volumes`)."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous._extras import require
from atrous._files import write_atomically
from atrous.data.volumes.geometry import VolumeGeometry, from_canonical
from atrous.data.volumes.nifti_header import NIFTI_SUFFIXES, is_nifti_name
from atrous.errors import DataError

_PACKING: Final = 6
"""Of gzip: labels are so even that more takes time and saves little."""

_SLAB: Final = 16
"""Planes of the file written at once."""


def write_mask_volume(
    path: str | Path, labels: Tensor | NDArray[np.integer], geometry: VolumeGeometry
) -> None:
    """Write class indices as the scan's file is kept: its order of axes, affine, codes and version.

    The bytes are the same on every run. Voxels are uint8.

    Args:
        path: Ends in `.nii`, or in `.nii.gz` to be packed.
        labels: `(D, H, W)`, each 0 to 255, in the orientation of `read_volume`.
        geometry: Of the scan.

    Raises:
        DataError: If the name ends otherwise, a label does not fit, or it cannot be written.
        ShapeError: If there are other than the scan's voxels.
        MissingExtraError: If nibabel is not installed.
    """
    path = Path(path)
    if not is_nifti_name(path):
        raise DataError(
            f"{path}: expected a name that ends in {' or '.join(NIFTI_SUFFIXES)}; give another."
        )
    values = labels.numpy() if isinstance(labels, Tensor) else labels
    values = from_canonical(values, geometry)
    if values.size and not 0 <= values.min() <= values.max() <= 255:
        raise DataError(
            f"Labels from {values.min()} to {values.max()} do not fit {path.name}; expected 0 to "
            "255; number the classes anew."
        )
    with write_atomically(path) as file, _packed(path, file) as out:
        _write(out, values, geometry)


def write_probability_volume(
    path: str | Path, probabilities: Tensor, geometry: VolumeGeometry
) -> None:
    """Write probabilities as one NIfTI file of four dimensions, the fourth the classes; float32.

    Args:
        path: Ends in `.nii`, or in `.nii.gz` to be packed.
        probabilities: `(K, D, H, W)` float32, in the orientation of `read_volume`.
        geometry: Of the scan.

    Raises:
        DataError: If it cannot be written.
        ShapeError: If there are other than the scan's voxels.
        MissingExtraError: If nibabel is not installed.
    """
    path = Path(path)
    header = _header_like(geometry, np.float32, num_channels=len(probabilities))
    with write_atomically(path) as file, _packed(path, file) as out:
        out.write(header)
        for one in probabilities:
            values = from_canonical(one.numpy(), geometry)
            for start in range(0, values.shape[2], _SLAB):
                slab = values[:, :, start : start + _SLAB].astype("<f4")
                out.write(slab.tobytes(order="F"))


@contextmanager
def _packed(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file, or what packs into it where its name says so."""
    if not path.name.lower().endswith(".gz"):
        yield file
        return
    with gzip.GzipFile("", "wb", _PACKING, file, mtime=0) as packed:
        yield cast("IO[bytes]", packed)


def _write(file: IO[bytes], values: NDArray[np.integer], geometry: VolumeGeometry) -> None:
    file.write(_header_like(geometry, np.uint8))
    for start in range(0, values.shape[2], _SLAB):
        slab = values[:, :, start : start + _SLAB].astype(np.uint8)
        file.write(slab.tobytes(order="F"))


def _header_like(geometry: VolumeGeometry, dtype: type[np.generic], num_channels: int = 1) -> bytes:
    """The scan's header, but for what it says of its values; no extensions follow it."""
    nifti = require(f"nibabel.nifti{geometry.version}", extra="volumes")
    kind = nifti.Nifti1Header if geometry.version == 1 else nifti.Nifti2Header
    header = kind(geometry.header, check=False)
    rank = 3 if num_channels == 1 else 4
    header["dim"] = [rank, *geometry.shape, num_channels, 1, 1, 1]
    header.set_data_dtype(dtype)
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_max"], header["cal_min"] = 0, 0
    header["intent_code"], header["intent_name"] = 0, b""
    header["descrip"], header["aux_file"] = b"", b""
    header["vox_offset"] = len(geometry.header) + 4
    return header.binaryblock + b"\0\0\0\0"
