"""Scans that are not NIfTI: NRRD, MetaImage, MGH, NIfTI pairs, and folders of DICOM slices.

Each is brought to what a NIfTI file would say: voxels in the file's own order of axes, and an
affine to millimetres right, anterior, superior. Needs the extra `volumes` (SimpleITK, nibabel).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._documents import open_regular
from atrous._extras import require
from atrous.errors import DataError

ITK_SUFFIXES: Final = (".nrrd", ".nhdr", ".mha", ".mhd")
NIBABEL_SUFFIXES: Final = (".mgz", ".mgh", ".hdr")
OTHER_SUFFIXES: Final = (*ITK_SUFFIXES, *NIBABEL_SUFFIXES)
"""Lower-case ends of names that are read here; of a pair the header's."""

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNEVEN: Final = 0.01
"""Steps between slices are one if they differ by less than this share of a step."""
_DICOM_MARK: Final = (128, b"DICM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What is known before voxels are read.

    Attributes:
        shape: Voxels along the file's three axes.
        num_channels: Values a voxel.
        dtype: Of the values as they come.
        affine: `(4, 4)`, to mm right, anterior, superior.
    """

    shape: tuple[int, int, int]
    num_channels: int
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]


def is_dicom_folder(folder: Path) -> bool:
    """Whether the first file of a folder by name is a DICOM file."""
    if not folder.is_dir():
        return False
    first = min((p for p in folder.iterdir() if p.is_file() and p.name[0] != "."), default=None)
    return first is not None and is_dicom(first)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does."""
    start, mark = _DICOM_MARK
    try:
        with open_regular(path) as file:
            return file.read(start + len(mark))[start:] == mark
    except OSError:
        return False


def read_grid(path: Path) -> Grid:
    """The grid of a scan; of files nothing but the header is read.

    Raises:
        DataError: If it cannot be read, or is no scan of three dimensions.
        MissingExtraError: If SimpleITK or nibabel is not installed.
    """
    if path.is_dir():
        return _series_grid(path)
    if path.suffix.lower() in NIBABEL_SUFFIXES:
        return _nibabel_grid(path)
    _check_place(path)
    grid = _itk_grid(path)
    if grid.shape[2] == 1 and is_dicom(path):
        raise DataError(
            f"{path}: one slice of DICOM; expected the folder of its series; name that."
        )
    return grid


def read_values(path: Path) -> NDArray[Any]:
    """`(C, *reversed(shape))`: the file's third axis first, as NIfTI's voxels lie in a file.

    Raises:
        DataError: As `read_grid`, or if the file is cut off.
    """
    if path.suffix.lower() in NIBABEL_SUFFIXES and not path.is_dir():
        try:
            values = np.asarray(_nibabel_image(path).dataobj)
        except (OSError, EOFError, ValueError) as error:
            raise _broken(path, error) from error
        return np.moveaxis(values.reshape(*values.shape[:3], -1), 3, 0).transpose(0, 3, 2, 1)
    itk = _itk()
    try:
        image = itk.ReadImage(_series_files(path) if path.is_dir() else str(path))
    except RuntimeError as error:
        raise _broken(path, error) from error
    array: NDArray[Any] = itk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        return np.moveaxis(array, -1, 0)
    return array if array.ndim == 4 else array[np.newaxis]


_PLACES: Final = {
    ".nrrd": (b"space directions", b"spacings"),
    ".nhdr": (b"space directions", b"spacings"),
    ".mha": (b"ElementSpacing", b"ElementSize"),
    ".mhd": (b"ElementSpacing", b"ElementSize"),
}
"""Of which a header must hold one, or the library would take its voxels for cubes of 1 mm."""
_HEADER: Final = 2**16


def _check_place(path: Path) -> None:
    """See that a header says how far apart voxels lie.

    Raises:
        DataError: If it does not, or the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            head = file.read(_HEADER)
    except OSError as error:
        raise _broken(path, error) from error
    words = _PLACES.get(path.suffix.lower(), ())
    if words and head and not any(word in head for word in words):
        raise DataError(
            f"{path}: its header does not say how far apart voxels lie; expected "
            f"{' or '.join(word.decode() for word in words)}; add it, or convert the file by a "
            "tool that you tell."
        )


def _itk() -> Any:  # noqa: ANN401 - SimpleITK has no types
    itk = require("SimpleITK", extra="volumes")
    itk.ProcessObject.SetGlobalWarningDisplay(False)  # what is wrong is said in our own words
    return itk


def _grid_of(path: Path, image: Any) -> Grid:  # noqa: ANN401 - an image or a reader of SimpleITK
    """Of what has a size, spacing, origin and direction, in millimetres left, back and up."""
    size = tuple(int(n) for n in image.GetSize())
    components = int(
        image.GetNumberOfComponents()
        if hasattr(image, "GetNumberOfComponents")
        else image.GetNumberOfComponentsPerPixel()
    )
    if len(size) not in (3, 4) or (len(size) == 4 and components > 1):
        raise DataError(
            f"{path}: {len(size)} dimensions ({' x '.join(map(str, size))}) of {components} "
            "values; expected 3, or 4 where the fourth is channels; give a volume."
        )
    rank = len(size)
    spacing = np.array(image.GetSpacing())[:3]
    direction = np.array(image.GetDirection()).reshape(rank, rank)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = np.array(image.GetOrigin())[:3]
    return Grid(
        shape=(size[0], size[1], size[2]),
        num_channels=size[3] if rank == 4 else components,
        dtype=_dtype(path, image),
        affine=_LPS_TO_RAS @ affine,
    )


def _dtype(path: Path, image: Any) -> np.dtype[Any]:  # noqa: ANN401 - as above
    itk = _itk()
    name = itk.GetPixelIDValueAsString(image.GetPixelID()).lower()
    bits = next((bits for bits in (8, 16, 32, 64) if str(bits) in name.split("-")[0]), None)
    kind = "f" if "float" in name else "u" if "unsigned" in name else "i"
    if bits is None or "complex" in name or "label" in name:
        raise DataError(
            f"{path}: voxels of kind {name!r}; expected integers or floats of up to 64 bits; "
            "convert the file."
        )
    return np.dtype(f"{kind}{bits // 8}")


def _series_files(folder: Path) -> list[str]:
    """The slices of the one series in a folder, in the order in which they lie.

    Raises:
        DataError: If there are several series, or none.
    """
    reader = _itk().ImageSeriesReader()
    series = list(reader.GetGDCMSeriesIDs(str(folder)))
    if len(series) != 1:
        raise DataError(
            f"{folder}: {len(series)} series of DICOM slices; expected one a folder; part them "
            "into folders, or convert the one that is meant by dcm2niix."
        )
    return list(reader.GetGDCMSeriesFileNames(str(folder), series[0]))


def _series_grid(folder: Path) -> Grid:
    """Of a series, by the headers of its slices.

    Raises:
        DataError: If slices are missing, turned or unevenly spaced.
    """
    grids = [_itk_grid(Path(name)) for name in _series_files(folder)]
    first = grids[0]
    if len(grids) == 1:
        return first  # one file of several frames says its own steps
    normal = np.cross(first.affine[:3, 0], first.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    places = np.array([grid.affine[:3, 3] for grid in grids])
    steps = np.diff(places @ normal)
    step = float(np.median(steps))
    is_one = all(
        grid.shape == first.shape
        and np.allclose(grid.affine[:3, :2], first.affine[:3, :2], atol=1e-3)
        for grid in grids
    )
    sideways = np.abs(places - places[0] - np.outer((places - places[0]) @ normal, normal)).max()
    if not is_one or not step or np.ptp(steps) > _UNEVEN * abs(step) or sideways > abs(step) / 10:
        raise DataError(
            f"{folder}: {len(grids)} slices that lie {np.abs(steps).min():.4g} to "
            f"{np.abs(steps).max():.4g} mm apart; expected slices of one size at equal steps; add "
            "the missing ones, or convert the series by dcm2niix."
        )
    affine = first.affine.copy()
    affine[:3, 2] = normal * step
    width, height, _ = first.shape
    shape = (width, height, len(grids))
    return Grid(shape=shape, num_channels=first.num_channels, dtype=first.dtype, affine=affine)


def _itk_grid(path: Path) -> Grid:
    reader = _itk().ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _broken(path, error) from error
    return _grid_of(path, reader)


def _nibabel_image(path: Path) -> Any:  # noqa: ANN401 - nibabel's
    nibabel = require("nibabel", extra="volumes")
    try:
        image = nibabel.load(path)
    except Exception as error:  # nibabel raises its own kinds
        raise _broken(path, error) from error
    if type(image).__name__ in ("AnalyzeImage", "Spm99AnalyzeImage", "Spm2AnalyzeImage"):
        raise DataError(
            f"{path}: Analyze 7.5, which does not say which side is left; expected a format that "
            "does; convert it to .nii.gz by a tool that you tell."
        )
    return image


def _nibabel_grid(path: Path) -> Grid:
    image = _nibabel_image(path)
    shape = tuple(int(n) for n in image.shape)
    if len(shape) not in (3, 4):
        raise DataError(
            f"{path}: {len(shape)} dimensions; expected 3, or 4 where the fourth is channels; give "
            "a volume."
        )
    return Grid(
        shape=(shape[0], shape[1], shape[2]),
        num_channels=shape[3] if len(shape) == 4 else 1,
        dtype=np.dtype(image.get_data_dtype()).newbyteorder("="),
        affine=np.asarray(image.affine, np.float64),
    )


def _broken(path: Path, error: Exception) -> DataError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[-1] if lines else type(error).__name__
    return DataError(
        f"{path}: broken, cut off or of an unknown kind ({said[:200]}); expected a whole scan; "
        "copy or make it again."
    )
