"""Type aliases that every room shares."""

from typing import Final, Literal, TypeAlias

SpatialDims: TypeAlias = Literal[2, 3]
"""2 for images `(B, C, H, W)`, 3 for volumes `(B, C, D, H, W)`."""

Size: TypeAlias = tuple[int, ...]
"""Spatial lengths, one per axis in the order of the tensor: `(H, W)` or `(D, H, W)`."""

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""

Kind: TypeAlias = Literal["photos", "slides", "volumes"]
"""What files are: pictures, whole slides, or volumes such as scans."""

UNLABELLED: Final = 255
"""What a mask holds where nobody labelled: no class, and not counted as one."""
