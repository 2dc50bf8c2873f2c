"""What a shipped model makes of a photo, and what it costs and sees, as one self-contained page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from atrous.networks.card import Card
from atrous.reports.page import render

MAX_SIDE = 720
"""Pictures are shrunk to this many pixels at their longest side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One picture of the page."""

    picture: Image.Image
    """RGB, or RGBA, which is shown over a chequered ground."""
    caption: str


def demo_page(
    *,
    title: str,
    card: Card,
    results: Sequence[Result],
    commands: Sequence[str],
    profile: Mapping[str, object],
    facts: Mapping[str, str],
) -> str:
    """HTML with the pictures, the commands that made them, the card, and the network's profile.

    Args:
        title: Of the page.
        card: Of the model.
        results: Pictures, in order.
        commands: What to type to get the same.
        profile: What `profile_values` gives for the network.
        facts: What traces the page: command, versions, machine.
    """
    return render(
        "demo.html",
        facts=facts,
        heading=title,
        card=card,
        results=[{"source": _embedded(r.picture), "caption": r.caption} for r in results],
        commands=commands,
        **profile,
    )


def _embedded(picture: Image.Image) -> str:
    """A JPEG, or a PNG where there is transparency, as the address of an image."""
    shown = picture.copy()
    shown.thumbnail((MAX_SIDE, MAX_SIDE))
    kind = "png" if shown.mode == "RGBA" else "jpeg"
    data = io.BytesIO()
    shown.save(data, format=kind.upper(), quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
