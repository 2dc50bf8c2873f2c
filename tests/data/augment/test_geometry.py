"""Stretches, canvases and turns, by arithmetic and by torchvision."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from atrous.data.augment.geometry import (
    AxisPlacement,
    Geometry,
    cut_and_resize,
    place_axis,
    place_image,
    place_mask,
    turned_canvas,
)


def whole(height, width, *, size, angle=0.0):
    canvas = turned_canvas(size, angle)
    axes = tuple(
        place_axis(length, view=min(view, laid), canvas=laid, magnification=1.0, position=0.5)
        for length, view, laid in zip((height, width), size, canvas, strict=True)
    )
    return Geometry(axes=axes, canvas=canvas, size=size, angle=angle)


@given(
    length=st.integers(1, 500),
    view=st.integers(1, 300),
    extra=st.integers(0, 200),
    magnification=st.floats(0.01, 50),
    position=st.floats(0, 1, exclude_max=True),
)
def test_a_placement_stays_on_the_image_and_on_the_canvas(
    length, view, extra, magnification, position
):
    canvas = view + extra
    placed = place_axis(
        length, view=view, canvas=canvas, magnification=magnification, position=position
    )
    assert placed.source_start >= 0
    assert 1 <= placed.source_length <= length - placed.source_start
    assert placed.start >= 0
    assert 1 <= placed.length <= canvas - placed.start
    # To half a pixel on either side, it is magnified as asked.
    low, high = placed.source_length - 0.5, placed.source_length + 0.5
    assert min(low * magnification - 1, canvas) <= placed.length
    assert placed.length <= max(1, high * magnification + 1)


@pytest.mark.parametrize(
    ("length", "view", "magnification"), [(100, 64, 1.0), (30, 64, 1.0), (64, 64, 0.25)]
)
def test_every_place_is_reached(length, view, magnification):
    shown = round(length * magnification)
    places = {
        place_axis(length, view=view, canvas=view, magnification=magnification, position=step / 997)
        for step in range(997)
    }
    assert len(places) == abs(view - shown) + 1


def test_a_view_of_a_turned_canvas_is_covered_by_an_image_that_can_cover_it():
    """An image longer than the view but shorter than the canvas surrounds the view."""
    for step in range(50):
        placed = place_axis(110, view=100, canvas=140, magnification=1.0, position=step / 50)
        assert placed.start <= 20
        assert placed.start + placed.length >= 120


@pytest.mark.parametrize(
    ("angle", "size"), [(0, (30, 40)), (90, (40, 30)), (180, (30, 40)), (45, (50, 50))]
)
def test_the_canvas_of_a_turned_rectangle(angle, size):
    """At 45 degrees both lengths are (30 + 40) / sqrt 2 = 49.5."""
    assert turned_canvas((30, 40), math.radians(angle)) == size


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("size", [(6, 10), (7, 8)])
def test_quarter_turns_are_those_of_torch(quarters, size):
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    mask = torch.randint(0, 256, size)
    turned = size if quarters == 2 else size[::-1]
    geometry = whole(*size, size=turned, angle=quarters * math.pi / 2)
    view = place_image(cut_and_resize(image, geometry), geometry, fill=None)
    assert torch.equal(view, image.rot90(quarters, (1, 2)))
    assert torch.equal(place_mask(mask, geometry), mask.rot90(quarters, (0, 1)))


def test_a_turn_is_that_of_torchvision():
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as TF  # noqa: N812

    image = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8)
    geometry = whole(
        60, 80, size=(60, 80), angle=math.radians(20)
    )  # on a canvas of 84x96, with the same middle
    view = place_image(cut_and_resize(image, geometry), geometry, fill=torch.tensor([9, 9, 9]))
    theirs = TF.rotate(image, 20, interpolation=InterpolationMode.BILINEAR)
    is_inside = TF.rotate(torch.full_like(image, 255), 20)[0] == 255
    is_inside &= TF.rotate(torch.full_like(image, 255), 20, InterpolationMode.BILINEAR)[0] == 255
    assert is_inside.float().mean() > 0.6
    assert (view.int() - theirs.int()).abs()[:, is_inside].max() <= 1


@pytest.mark.parametrize("window", [(5, 9, 20, 30), (0, 0, 40, 50), (17, 3, 8, 47)])
def test_a_resized_crop_is_that_of_torchvision(window):
    from torchvision.transforms.v2 import functional as TF  # noqa: N812

    top, left, height, width = window
    image = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    geometry = Geometry(
        axes=(
            AxisPlacement(source_start=top, source_length=height, start=0, length=24),
            AxisPlacement(source_start=left, source_length=width, start=0, length=36),
        ),
        canvas=(24, 36),
        size=(24, 36),
    )
    theirs = TF.resized_crop(image, *window, size=[24, 36], antialias=True)
    assert torch.equal(cut_and_resize(image, geometry), theirs)
    mask = torch.randint(0, 12, (40, 50), dtype=torch.uint8)
    exact = TF.resized_crop(
        mask[None], *window, size=[24, 36], interpolation=TF.InterpolationMode.NEAREST_EXACT
    )
    assert torch.equal(place_mask(mask, geometry), exact[0])


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("window", [(5, 5), (2, 1), (1, 2)])
def test_outputs_of_a_pixel_or_two_are_right(window, size):
    """torch's 8-bit kernel fails at a width of 1; in floats it does not."""
    image = torch.randint(0, 256, (3, *window), dtype=torch.uint8)
    axes = tuple(
        AxisPlacement(source_start=0, source_length=source, start=0, length=length)
        for source, length in zip(window, size, strict=True)
    )
    ours = cut_and_resize(image, Geometry(axes=axes, canvas=size, size=size))
    exact = F.interpolate(image[None].float(), size=size, mode="bilinear", antialias=True)[0]
    assert (ours.float() - exact).abs().max() <= 1
