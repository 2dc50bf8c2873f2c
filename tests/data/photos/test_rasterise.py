"""Polygons to the pixel as their tools fill them.

The masks below were written by pycocotools 2.0.11 (`frPyObjects`, `decode`) and OpenCV 5.0
(`fillPoly` of the same points, cut to whole numbers), as packed bits.
"""

import numpy as np
import pytest

from atrous.data.photos.rasterise import decode_runs, fill_coco, fill_opencv
from atrous.errors import DataError

SIZE = (24, 31)


def unpacked(text):
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
    return bits[: SIZE[0] * SIZE[1]].reshape(SIZE).astype(bool)


RUNS = (
    "2000000e4000001c0000003800000070000000e0000001d0800003a10000074200000e8400001d08"
    "00003a10000074200000e8400003d0800007a100000f4200001e8000003d0000007a000000f40000"
    "01e8000003d0000007a000000f"
)
POLYGONS = [
    (
        [2.0, 3.0, 20.0, 3.0, 20.0, 15.0, 2.0, 15.0],
        (
            "000000000000000000000001ffff8003ffff0007fffe000ffffc001ffff8003ffff0007fffe000ff"
            "ffc001ffff8003ffff0007fffe000ffffc0000000000000000000000000000000000000000000000"
            "00000000000000000000000000"
        ),
        (
            "000000000000000000000001ffffc003ffff8007ffff000ffffe001ffffc003ffff8007ffff000ff"
            "ffe001ffffc003ffff8007ffff000ffffe001ffffc00000000000000000000000000000000000000"
            "00000000000000000000000000"
        ),
    ),
    (
        [1.5, 1.2, 28.7, 4.9, 15.3, 22.1],
        (
            "00000000600000007f800000fffe0000fffff801fffffe01fffffc01fffff003ffffc003ffff0003"
            "fffc0007fff80007ffe00007ff80000ffe00000ffc00000ff000001fc000001f0000001c00000038"
            "00000020000000000000000000"
        ),
        (
            "00000000f8000000fff80001fffff801ffffff81fffffe03fffffc03fffff003ffffc007ffff0007"
            "fffe0007fff8000fffe0000fff80000fff00001ffc00001ff000001fe000003f8000003e00000038"
            "00000070000000400000000000"
        ),
    ),
    (
        [5.5, 5.5, 25.1, 6.2, 22.9, 20.7, 9.3, 18.8, 4.2, 12.5],
        (
            "000000000000000000000000000000000000000000000001ffffe003ffffc007ffff800fffff001f"
            "fffe007ffff800fffff000ffffe000ffffc000ffff8000ffff0001fffc0001fff800001ff0000000"
            "60000000000000000000000000"
        ),
        (
            "0000000000000000000000000000000000000000ffe00001fffff003ffffe007ffffc01fffff003f"
            "fffe007ffffc00fffff800ffffe000ffffc001ffff8001ffff0001fffe0001fff800003ff0000001"
            "e0000000000000000000000000"
        ),
    ),
    (
        [-3.0, -2.0, 12.0, 8.0, -4.0, 20.0],
        (
            "8000000180000003c0000007c000000fe000001fe000003ff000007ff00000ffe00001ff800003fe"
            "000007f000000fc000001f0000003800000060000000800000000000000000000000000000000000"
            "00000000000000000000000000"
        ),
        (
            "80000001c0000003c0000007e000000fe000001ff000003ff000007ff80000fff80001ffe00003ff"
            "800007fc00000ff000001fc000003e00000078000000e00000010000000000000000000000000000"
            "00000000000000000000000000"
        ),
    ),
    (
        [25.0, 18.0, 40.0, 18.0, 40.0, 30.0, 25.0, 30.0],
        (
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "000000000000000000000000000000000000000000000000000000000000000001f8000003f00000"
            "07e000000fc000001f8000003f"
        ),
        (
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "000000000000000000000000000000000000000000000000000000000000000001f8000003f00000"
            "07e000000fc000001f8000003f"
        ),
    ),
    (
        [3, 3, 27, 20, 27, 3, 3, 20],
        (
            "0000000000000000000000008000010180000603c0003c07c000f80fc003f01fe01fe03fe07fc07f"
            "f3ff80ffffff01ff87fe03fe07fc07f807f80fc003f01f0003e0380001c060000180800001000000"
            "00000000000000000000000000"
        ),
        (
            "00000000000000000000000080000081c0000703c0001e07c0007c0fe003f81fe00ff03ff07fe07f"
            "f1ffc0ffffff81ffffff03ff8ffe07fe0ffc0ff007f81fc007f03e0003e0780003c0e00003810000"
            "01000000000000000000000000"
        ),
    ),
]


@pytest.mark.parametrize(("points", "coco", "opencv"), POLYGONS)
def test_polygons_are_filled_as_their_tools_fill_them(points, coco, opencv):
    points = np.array(points, np.float64).reshape(-1, 2)
    assert np.array_equal(fill_coco(points, SIZE), unpacked(coco))
    assert np.array_equal(fill_opencv(points.astype(np.int64), SIZE), unpacked(opencv))


def test_a_rectangle_on_pixel_borders_has_its_area():
    box = np.array([[2, 3], [20, 3], [20, 15], [2, 15]], np.float64)
    assert fill_coco(box, SIZE).sum() == 18 * 12
    assert fill_opencv(box.astype(np.int64), SIZE).sum() == 19 * 13  # the outline is inside


def test_run_lengths_as_numbers_and_as_text_are_one_mask():
    runs = [30, 20, 100, 11, 500, 83]
    expected = unpacked(RUNS)
    assert np.array_equal(decode_runs(runs, SIZE), expected)
    assert np.array_equal(decode_runs("n0d0T3G`<X2", SIZE), expected)


@pytest.mark.parametrize("runs", [[1], [-1, 745], [800], "n0d0T3G`<X"])
def test_run_lengths_of_another_size_are_refused(runs):
    with pytest.raises(DataError, match="expected 24 x 31"):
        decode_runs(runs, SIZE)


NOISE_RUNS = (
    "1220OO00002000N051MOO23NO120LO0010O14OO0N000N01010N020N20N2011NOO02040M1MO5131HN"
    "40O010L12O00N00010020N11NO1032LN2010O0N1004OL001000O10003060J0M11ON0=1DO2000M10O"
    "30M0001080H12O00O0N020N0023OMO21O12NN00000O020O11O20M2OO0O1011OO11N12NO000O050O0"
    "O0M070620NF011O14OIO020N61O0LOO00031NOO21N10N012O09NG1012NN00051OOM011NO0071MOO0"
    "30J10O51LO0"
)
NOISE = (
    "199015252221a042840100815295c0007f0008188048bd70969e120400f34994a2020210a115eb96"
    "844259010dcf08098c118944d01a1d89040c24e5201488490424508c4204424365c846048b480aa2"
    "038c203e10e50b0c3604e02800"
)


def test_long_packed_run_lengths():
    assert np.array_equal(decode_runs(NOISE_RUNS, SIZE), unpacked(NOISE))
