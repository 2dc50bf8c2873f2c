"""Real slides by the command: killed and resumed to the same bytes, shared, seamless."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("zarr", reason="needs the extra slides")

pytestmark = pytest.mark.real


def command(weights, slides, out, *more):
    return [
        *(sys.executable, "-m", "atrous.cli.main", "predict", str(weights)),
        *(*map(str, slides), "--out", str(out), *more),
    ]


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_killed_at_any_time_a_slide_ends_with_the_same_bytes(
    atrous, shared, smooth_weights, tmp_path
):
    slide = tmp_path / "mosaic.tif"
    atrous(
        *("synthesize", "mosaic", shared / "data/slides/cmu-1-small-region.svs", slide),
        *("--size", "4000x4000"),
    )
    more = ("--tile", "256", "--context", "exact", "--at-mpp", "1.0")
    start = time.monotonic()
    subprocess.run(
        command(smooth_weights, [slide], tmp_path / "whole", *more), check=True, capture_output=True
    )
    seconds = time.monotonic() - start
    expected = digests(tmp_path / "whole")
    assert len(expected) == 7
    chance = random.Random(0)  # noqa: S311 - moments, not secrets
    out = tmp_path / "killed"
    for _ in range(4):
        process = subprocess.Popen(
            command(smooth_weights, [slide], out, *more), stdout=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.3, 0.9) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    journal = out / "mosaic/.work/journal"
    if journal.exists():  # torn in the middle of a line
        journal.write_bytes(journal.read_bytes()[:-5])
    subprocess.run(command(smooth_weights, [slide], out, *more), check=True, capture_output=True)
    assert digests(out) == expected


def test_two_processes_share_a_folder_of_slides(atrous, shared, smooth_weights, tmp_path):
    slides = tmp_path / "slides"
    slides.mkdir()
    for number in range(6):
        atrous(
            *("synthesize", "mosaic", shared / "data/slides/cmu-1-small-region.svs"),
            *(slides / f"{number}.tif", "--size", f"{1000 + 200 * number}x1500"),
        )
    out = tmp_path / "out"
    both = [
        subprocess.Popen(
            command(smooth_weights, [slides], out),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    texts, notes = zip(*(process.communicate() for process in both), strict=True)
    for process, note in zip(both, notes, strict=True):
        # The one that ends while the other is at its last slide has not seen all of them done.
        assert process.returncode == (1 if "is being worked on by" in note else 0), note
    lines = [line for text in texts for line in text.splitlines()]
    ran = [line for line in lines if "tiles" in line and "done before" not in line]
    assert sorted(line.split()[0] for line in ran) == [str(number) for number in range(6)]
    assert {path.name for path in out.iterdir()} == {str(number) for number in range(6)}
    assert not list(out.rglob(".lock"))
    assert not list(out.rglob(".work"))


def test_a_real_slide_gives_all_its_files(atrous, shared, smooth_weights, tmp_path):
    slide = shared / "data/slides/tcga-cr-7395-01a-01-ts1.svs"
    text = atrous(
        "predict",
        smooth_weights,
        slide,
        "--mpp",
        0.25,
        "--at-mpp",
        0.5,
        "--out",
        tmp_path,
        "--tile",
        512,
        "--context",
        "exact",
    )
    assert "exact, 0.0000% of labels differ at seams" in text
    assert (tmp_path / "tcga-cr-7395-01a-01-ts1/regions.geojson").stat().st_size > 1000


def test_what_is_no_slide_is_told_in_one_line(shared, smooth_weights, tmp_path):
    slides = shared / "data/slides"
    cut = tmp_path / "cut.svs"
    cut.write_bytes((slides / "cmu-1-small-region.svs").read_bytes()[:200_000])
    bomb = tmp_path / "bomb.tif"
    with bomb.open("wb") as file:
        file.write(b"II*\0")
        os.truncate(file.fileno(), 4 << 30)
    for path in (cut, slides / "small_dicom.dcm", bomb, slides / "tcga-cr-7395-01a-01-ts1.svs"):
        done = subprocess.run(
            command(smooth_weights, [path], tmp_path / "out"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("atrous: ")
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    assert "--mpp" in done.stderr  # the last one does not say its scale
