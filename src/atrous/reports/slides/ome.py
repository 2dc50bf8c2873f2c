"""The description that OME-TIFF keeps of a picture: its size, scale and channel."""

from typing import Final
from xml.etree import ElementTree as ET

from atrous.types import Size

_SCHEMA: Final = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome_root(
    size: Size, *, mpp: tuple[float, float], name: str, channel: str, num_samples: int = 1
) -> ET.Element:
    """The tree of one 8-bit picture with one channel, for callers that add to it.

    Args:
        size: `(H, W)`, pixels.
        mpp: Micrometres per pixel, down and to the right.
        name: Of the picture.
        channel: What its channel is.
        num_samples: Values of a pixel, which lie side by side in the file.
    """
    root = ET.Element("OME", xmlns=_SCHEMA)
    image = ET.SubElement(root, "Image", ID="Image:0", Name=name)
    pixels = ET.SubElement(
        image,
        "Pixels",
        ID="Pixels:0",
        DimensionOrder="XYCZT",
        Type="uint8",
        SizeX=str(size[1]),
        SizeY=str(size[0]),
        SizeC=str(num_samples),
        SizeZ="1",
        SizeT="1",
        PhysicalSizeX=repr(float(mpp[1])),
        PhysicalSizeXUnit="µm",
        PhysicalSizeY=repr(float(mpp[0])),
        PhysicalSizeYUnit="µm",
    )
    if num_samples > 1:
        pixels.set("Interleaved", "true")
    ET.SubElement(
        pixels, "Channel", ID="Channel:0:0", Name=channel, SamplesPerPixel=str(num_samples)
    )
    ET.SubElement(pixels, "TiffData", IFD="0", PlaneCount="1")
    return root


def ome_text(root: ET.Element) -> str:
    """The tree as text in ASCII, as TIFF wants it."""
    text = ET.tostring(root, encoding="us-ascii").decode()
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'
