"""What a TIFF says of itself, read without any extra and without its pixels."""

import warnings
from typing import IO, Any, Final

from PIL import TiffImagePlugin


def tiff_tags(file: IO[bytes]) -> Any:  # noqa: ANN401 - Pillow's own kind of mapping
    """The tags of a TIFF's first page, by their numbers; broken ones raise nearly anything."""
    file.seek(0)
    head = file.read(16)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if b"+" in head[:4] else 8])
    file.seek(tags.next)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cut off file says so when it is opened
        tags.load(file)
    return tags


def describe_tiff(file: IO[bytes]) -> str | None:
    """What a TIFF holds, by its tags; None where they are broken."""
    try:
        tags = tiff_tags(file)
        bits, samples = tags.get(258, (1,)), int(tags.get(277, 1))
        kind = {1: "integers", 2: "signed integers", 3: "floats"}.get(
            int(tags.get(339, (1,))[0]), "numbers"
        )
        depth = f"{int(bits[0])}-bit {kind}"
        compression = _COMPRESSIONS.get(int(tags.get(259, 1)), f"compression {tags.get(259)}")
        height, width = int(tags[257]), int(tags[256])
    except Exception:  # nor are its tags to be read
        return None
    return (
        f"a TIFF of {samples} channel{'s' * (samples != 1)} of {depth}, {compression}, "
        f"{height} x {width} (H x W)"
    )


_COMPRESSIONS: Final = {
    1: "not compressed",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
