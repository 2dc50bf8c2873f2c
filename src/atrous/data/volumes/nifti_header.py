"""The header of a NIfTI file, looked at before anything is allocated for its voxels.

Needs the extra `volumes` (nibabel).
"""

import gzip
import zlib
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from atrous._documents import open_regular
from atrous._extras import require
from atrous.data.volumes.geometry import VolumeGeometry
from atrous.data.volumes.other_formats import (
    OTHER_SUFFIXES,
    is_dicom,
    is_dicom_folder,
    read_grid,
)
from atrous.errors import DataError

DEFAULT_MAX_VOXELS: Final = 2**31
"""Voxels, of all channels together, above which a volume is refused: 8 GiB as float32."""

NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")

_LENGTH: Final = {1: 348, 2: 540}
_GZIP: Final = b"\x1f\x8b"
_MOST_SHRUNK: Final = 1032
"""Deflate makes no file smaller than by this factor."""

_NUMBERS: Final = "iuf"
_DATATYPE_NAMES: Final = {0: "unknown", 1: "1-bit", 128: "RGB", 2304: "RGBA"}
_FLATTEST: Final = 1e-3
"""Least volume of a voxel, as a share of what its edges would give at right angles."""

_SKEWEST: Final = 0.01
"""Greatest cosine between two axes: beyond it lengths and volumes along the axes would be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHeader:
    """What is needed to read a file's voxels, all of it checked."""

    path: Path
    geometry: VolumeGeometry
    num_channels: int
    dtype: np.dtype[Any]
    offset: int
    """Bytes of the unpacked file before the voxels."""
    slope: float
    intercept: float
    is_other_format: bool = False
    """Whether the header was made for a file that is no NIfTI, whose voxels are read otherwise."""


def is_nifti_name(path: Path) -> bool:
    """Whether a file is called as NIfTI files are."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def nifti_version(head: bytes) -> int | None:
    """1 or 2 if an unpacked file begins as NIfTI does, else None."""
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return 1
    return 2 if head[4:8] in (b"n+2\0", b"ni2\0") else None


def read_head(path: Path) -> bytes:
    """The first 540 bytes, unpacked, or as many as there are.

    Raises:
        DataError: If the file cannot be read or unpacked that far.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a NIfTI file; give one that is in it.")
    try:
        with unpacked(path) as file:
            return file.read(_LENGTH[2])
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; expected a NIfTI file; check the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise cut_off(path, error) from error


def read_header(path: Path, *, max_voxels: int = DEFAULT_MAX_VOXELS) -> NiftiHeader:
    """Read and check a header; nothing is allocated for the voxels.

    Raises:
        DataError: If the file is missing, cut off, no NIfTI, or holds what is no scan of numbers in
            three dimensions at known places.
        MissingExtraError: If nibabel is not installed, or SimpleITK for what is no NIfTI.
    """
    if is_other_format(path):
        return _header_of_other(path, max_voxels)
    head = read_head(path)
    version = nifti_version(head)
    if version is None or len(head) < _LENGTH[version]:
        raise DataError(
            f"{path}: {len(head)} bytes that do not begin as NIfTI does; expected a NIfTI file, or "
            f"one that ends in {', '.join(OTHER_SUFFIXES)} (of a pair the .hdr), or a folder of "
            "DICOM slices; convert it to .nii.gz."
        )
    raw = head[: _LENGTH[version]]
    if head[4:6] == b"ni" or head[344:346] == b"ni":
        raise DataError(
            f"{path}: the header of a pair of .hdr and .img; expected one file; name the .hdr if "
            "both are there."
        )
    nifti = require("nibabel.nifti1" if version == 1 else "nibabel.nifti2", extra="volumes")
    kind = nifti.Nifti1Header if version == 1 else nifti.Nifti2Header
    header = kind(raw, check=False)
    shape, num_channels = _shape(path, header)
    dtype = _dtype(path, header)
    offset = max(_offset(path, header), _LENGTH[version] + 4)
    _check_length(path, prod(shape) * num_channels, dtype, offset, max_voxels)
    slope, intercept = _scaling(path, header)
    return NiftiHeader(
        path=path,
        geometry=_geometry(path, header, raw, version, shape),
        num_channels=num_channels,
        dtype=dtype,
        offset=offset,
        slope=slope,
        intercept=intercept,
    )


def is_other_format(path: Path) -> bool:
    """Whether a path is a scan that is no NIfTI: by its suffix, or as DICOM by how it begins."""
    if path.is_dir():
        return is_dicom_folder(path)
    return path.suffix.lower() in OTHER_SUFFIXES or is_dicom(path)


def _header_of_other(path: Path, max_voxels: int) -> NiftiHeader:
    """The header that a NIfTI file of the same grid would have."""
    if not path.exists():
        raise DataError(f"{path} is not there; expected a scan; check the path.")
    grid = read_grid(path)
    if grid.dtype.kind not in _NUMBERS:
        raise DataError(
            f"{path}: voxels of kind {grid.dtype}; expected integers or floats, one number a "
            "voxel; convert the file."
        )
    if (voxels := prod(grid.shape) * grid.num_channels) > max_voxels:
        raise DataError(
            f"{path}: its header asks for {voxels:,} voxels; expected at most {max_voxels:,}; crop "
            "or resample the file, if the header is right."
        )
    nifti = require("nibabel.nifti1", extra="volumes")
    header = nifti.Nifti1Header()
    header.set_data_shape(grid.shape)
    header.set_data_dtype(np.uint8)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine, code=1)
    header["pixdim"][1:4] = np.linalg.norm(grid.affine[:3, :3], axis=0)
    header["vox_offset"] = _LENGTH[1] + 4
    return NiftiHeader(
        path=path,
        geometry=_geometry(path, header, header.binaryblock, 1, grid.shape),
        num_channels=grid.num_channels,
        dtype=grid.dtype,
        offset=0,
        slope=1,
        intercept=0,
        is_other_format=True,
    )


def unpacked(path: Path) -> IO[bytes]:
    """A file open for reading, unpacked on the way if it is gzipped."""
    return cast("IO[bytes]", gzip.open(path)) if _is_packed(path) else open_regular(path)


def _is_packed(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(2) == _GZIP


def cut_off(path: Path, error: Exception) -> DataError:
    """What is said of a file that ends, or cannot be unpacked, before all is read."""
    return DataError(
        f"{path}: broken or cut off ({error}); expected a whole NIfTI file; copy or make it again."
    )


def _shape(path: Path, header: Any) -> tuple[tuple[int, int, int], int]:  # noqa: ANN401 - nibabel's
    """Voxels along the file's axes, and the number of channels."""
    dim = [int(length) for length in header["dim"]]
    lengths = dim[1 : 1 + max(dim[0], 0)]
    while len(lengths) > 3 and lengths[-1] == 1:
        lengths.pop()
    if dim[0] > 7 or len(lengths) not in (3, 4):
        raise DataError(
            f"{path}: {len(lengths)} dimensions ({' x '.join(map(str, lengths))}); expected 3, or "
            "4 where the fourth is channels; give a volume."
        )
    if min(lengths) < 1:
        raise DataError(
            f"{path}: its header gives {' x '.join(map(str, lengths))} voxels; expected at least "
            "one along every axis; make the file again."
        )
    return (lengths[0], lengths[1], lengths[2]), lengths[3] if len(lengths) == 4 else 1


def _dtype(path: Path, header: Any) -> np.dtype[Any]:  # noqa: ANN401 - nibabel's
    code = int(header["datatype"])
    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
        what = _DATATYPE_NAMES.get(code, str(dtype))
    except Exception:  # nibabel raises its own kind for a code that it does not know
        dtype, what = np.dtype("V"), f"datatype code {code}"
    if dtype.kind not in _NUMBERS or dtype.itemsize > 8:
        raise DataError(
            f"{path}: voxels of kind {_DATATYPE_NAMES.get(code, what)}; expected integers or "
            "floats of up to 64 bits, one number a voxel; convert the file."
        )
    return dtype


def _check_length(
    path: Path, num_voxels: int, dtype: np.dtype[Any], offset: int, max_voxels: int
) -> None:
    if num_voxels > max_voxels:
        raise DataError(
            f"{path}: its header asks for {num_voxels:,} voxels; expected at most {max_voxels:,}; "
            "crop or resample the file, if the header is right."
        )
    needed = offset + num_voxels * dtype.itemsize
    packed = _is_packed(path)
    length = path.stat().st_size
    if length * (_MOST_SHRUNK if packed else 1) < needed:
        raise DataError(
            f"{path}: {length:,} bytes{', packed,' if packed else ''} cannot hold the {needed:,} "
            "that its header asks for; expected a whole file; copy or make it again."
        )


def _scaling(path: Path, header: Any) -> tuple[float, float]:  # noqa: ANN401 - nibabel's
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not isfinite(slope):
        return 1.0, 0.0  # the standard's way to say that values are not scaled
    if not isfinite(intercept):
        raise DataError(
            f"{path}: values scaled by {slope:g} and shifted by {intercept}; expected a finite "
            "shift; mend scl_inter in its header."
        )
    return slope, intercept


def _geometry(
    path: Path,
    header: Any,  # noqa: ANN401 - nibabel's
    raw: bytes,
    version: int,
    shape: tuple[int, int, int],
) -> VolumeGeometry:
    steps = [float(step) for step in header["pixdim"][1:4]]
    if not all(isfinite(step) and step > 0 for step in steps):
        raise DataError(
            f"{path}: {_numbers(steps)} as the spacing of its voxels; expected numbers above 0; "
            "mend pixdim in its header."
        )
    affine = _affine(path, header)
    orientations = require("nibabel.orientations", extra="volumes")
    found = orientations.io_orientation(affine)
    # Rows of `found`: for each axis of the file, the world's axis it follows, and the direction.
    nearest = {int(world): axis for axis, (world, _) in enumerate(found)}
    against = [bool(direction < 0) for _, direction in found]
    axes = (nearest[2], nearest[1], nearest[0])
    return VolumeGeometry(
        header=raw,
        version=version,
        shape=shape,
        affine=tuple(tuple(map(float, row)) for row in affine),
        sform_code=int(header["sform_code"]),
        qform_code=int(header["qform_code"]),
        unit=_UNITS.get(int(header["xyzt_units"]) & 7, "unknown"),
        axes=axes,
        is_reversed=(against[axes[0]], against[axes[1]], against[axes[2]]),
    )


def _affine(path: Path, header: Any) -> NDArray[np.float64]:  # noqa: ANN401 - nibabel's
    usable = header.copy()
    if usable["pixdim"][0] not in (-1, 1):
        usable["pixdim"][0] = 1  # the standard: read 0 as 1
    try:
        affine: NDArray[np.float64] = np.asarray(usable.get_best_affine(), np.float64)
    except Exception as error:  # nibabel raises its own kinds
        raise DataError(
            f"{path}: no place in the world can be read from its header ({error}); expected an "
            "sform or a qform; mend the header."
        ) from error
    steps = affine[:3, :3]
    edges = np.linalg.norm(steps, axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(steps)) <= _FLATTEST * edges.prod():
        raise DataError(
            f"{path}: its affine gives voxels with edges of {_numbers(edges.tolist())} that fill "
            "no space; expected three independent axes; mend the sform or qform in its header."
        )
    cosines = np.abs(np.triu((steps / edges).T @ (steps / edges), 1))
    if cosines.max() > _SKEWEST:
        raise DataError(
            f"{path}: its axes meet at {np.degrees(np.arccos(cosines.max())):.1f} degrees, as of a "
            "tilted gantry or a registration with shear; expected right angles; resample it to a "
            "straight grid."
        )
    return affine


_UNITS: Final = {1: "meter", 2: "mm", 3: "micron"}
"""Of lengths, by the lowest three bits; the higher ones are of time."""


def _offset(path: Path, header: Any) -> int:  # noqa: ANN401 - nibabel's
    offset = float(header["vox_offset"])
    if not isfinite(offset) or offset < 0 or offset != int(offset):
        raise DataError(
            f"{path}: its voxels begin at byte {offset:g}; expected a whole number; mend "
            "vox_offset in its header."
        )
    return int(offset)


def _numbers(values: list[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)
