"""Efficient convolutional networks in computer vision: understand them, run them, measure them.

import atrous

predictor = atrous.load("espnet-camvid.safetensors")
prediction = predictor.predict("street.jpg")
prediction.mask  # (H, W) class indices
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous.inference.predictor import load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    # torch takes seconds to import, so `import atrous` leaves it to the first use.
    if name == "load":
        from atrous.inference.predictor import load

        return load
    raise AttributeError(f"module 'atrous' has no attribute {name!r}")
