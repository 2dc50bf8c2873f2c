"""Small slides that tests write: painted regions whose place on the slide is known."""

import json

import numpy as np
import openslide
import shapely
import tifffile
from rasterio import Affine, features

COLOURS = np.array([[243, 243, 242], [230, 120, 160], [90, 60, 150]], np.uint8)
NAMES = ("glass", "pink", "purple")
TILE = 128

_VIEW = (
    '<image name="{name}" uuid="urn:uuid:{name}"><creationDate>2020-01-01T00:00:00Z</creationDate>'
    '<device model="Leica SCN400" version="1.0"/><pixels sizeX="{width}" sizeY="{height}">{dims}'
    '</pixels><view sizeX="{nm_width}" sizeY="{nm_height}" offsetX="{nm_left}" offsetY="{nm_top}" '
    'spacingZ="0"/><scanSettings><objectiveSettings><objective>{objective}</objective>'
    "</objectiveSettings><illuminationSettings><numericalAperture>0.4</numericalAperture>"
    "<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>"
    "</image>"
)
_SCN = (
    '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" '
    'uuid="urn:uuid:c"><collection name="c" uuid="urn:uuid:d" sizeX="{width}" sizeY="{height}">'
    "<barcode></barcode>{images}</collection></scn>"
)


def blobs(size, seed):
    """Discs of two classes on glass, `(H, W)` uint8."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, np.uint8)
    down, right = np.mgrid[: size[0], : size[1]]
    for number in range(7):
        top, left = (int(rng.integers(length // 6, 5 * length // 6)) for length in size)
        radius = int(rng.integers(min(size) // 12, min(size) // 5))
        labels[(down - top) ** 2 + (right - left) ** 2 < radius**2] = 1 + number % 2
    return labels


def painted(labels, seed=0):
    """What a scanner would see of labels, `(H, W, 3)` uint8."""
    noise = np.random.default_rng(seed).integers(-3, 4, (*labels.shape, 1))
    return np.clip(COLOURS[labels].astype(int) + noise, 0, 255).astype(np.uint8)


def halves(pixels, count):
    levels = [pixels]
    for _ in range(count - 1):
        levels.append(np.ascontiguousarray(levels[-1][::2, ::2]))
    return levels


def write_scn(path, *, plane, regions, mpp=0.5, seed=0):
    """A Leica SCN of regions `(top, left, height, width)` on a plane `(H, W)`, in pixels.

    Gives the labels of the whole plane back, 255 where nothing was scanned.
    """
    nm = round(mpp * 1000)
    truth = np.full(plane, 255, np.uint8)
    macro = np.full((plane[0] // 10, plane[1] // 10, 3), 240, np.uint8)
    pages, images = [(macro, None)], []
    whole = {"nm_top": 0, "nm_left": 0, "nm_height": plane[0] * nm, "nm_width": plane[1] * nm}
    dims = f'<dimension sizeX="{macro.shape[1]}" sizeY="{macro.shape[0]}" r="0" ifd="0"/>'
    images.append(
        _VIEW.format(
            name="macro",
            dims=dims,
            width=macro.shape[1],
            height=macro.shape[0],
            objective=0.6,
            **whole,
        )
    )
    for number, (top, left, height, width) in enumerate(regions):
        labels = blobs((height, width), seed + number)
        truth[top : top + height, left : left + width] = labels
        dims = ""
        for level, pixels in enumerate(halves(painted(labels, seed), 2)):
            dims += f'<dimension sizeX="{pixels.shape[1]}" sizeY="{pixels.shape[0]}" '
            dims += f'r="{level}" ifd="{len(pages)}"/>'
            pages.append((pixels, mpp * 2**level))
        view = {"nm_top": top * nm, "nm_left": left * nm}
        view |= {"nm_height": height * nm, "nm_width": width * nm}
        images.append(
            _VIEW.format(
                name=f"r{number}", dims=dims, width=width, height=height, objective=20, **view
            )
        )
    text = _SCN.format(width=plane[1] * nm, height=plane[0] * nm, images="".join(images))
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for number, (pixels, scale) in enumerate(pages):
            resolution = {} if scale is None else {"resolution": (1e4 / scale, 1e4 / scale)}
            file.write(
                pixels,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="deflate",
                metadata=None,
                description=text if number == 0 else None,
                **resolution,
                **({"resolutionunit": "CENTIMETER"} if resolution else {}),
            )
    return truth


def qupath_box(path):
    """Left, top, width and height of what QuPath shows of a slide, in pixels of level 0.

    Its OpenSlide reader takes the four bounds where all are whole numbers, and adds the first two
    to every place that it reads.
    """
    with openslide.OpenSlide(path) as slide:
        keys = [f"openslide.bounds-{side}" for side in ("x", "y", "width", "height")]
        try:
            left, top, width, height = (int(slide.properties[key]) for key in keys)
        except (KeyError, ValueError):
            return 0, 0, *slide.dimensions
    return left, top, width, height


def imported_by_qupath(geojson, slide, names=NAMES):
    """Labels that a GeoJSON gives in QuPath's image of a slide, `(H, W)`; 255 where none."""
    left, top, width, height = qupath_box(slide)
    labels = np.full((height, width), 255, np.uint8)
    shapes = []
    for feature in json.loads(geojson.read_text())["features"]:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert shape.is_valid
        shapes.append((shape, names.index(feature["properties"]["classification"]["name"])))
    features.rasterize(shapes, out=labels, transform=Affine.identity())
    return labels, (slice(top, top + height), slice(left, left + width))


def drawn_in_qupath(labels, path, names=NAMES, **members):
    """Write labels of an image `(H, W)` as QuPath would export annotations of them."""
    found = []
    for shape, value in features.shapes(labels, mask=(labels > 0) & (labels != 255)):
        classification = {"name": names[int(value)], "color": [1, 2, 3]}
        properties = {"objectType": "annotation", "classification": classification}
        found.append({"type": "Feature", "geometry": shape, "properties": properties})
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": found}))
    return path
