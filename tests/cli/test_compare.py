"""`atrous compare`: segmenters over one encoder, and how they were timed."""

import json

import pytest

STEPS = ("vanilla", "encoder_decoder", "skip_encoder_decoder")


def test_the_three_steps_stand_on_one_encoder(atrous):
    code, text, _ = atrous(
        "compare", *STEPS, "--encoder", "resnet18", "--size", "3x64x96", "--json"
    )
    rows = json.loads(text)
    assert code == 0
    assert [row["network"] for row in rows] == [f"{step} over resnet18" for step in STEPS]
    # Step 1 is the encoder and one 1x1 convolution from 512 channels to 21 classes.
    assert rows[0]["params"] == 11_176_512 + 21 * 512 + 21
    macs = [row["macs"] for row in rows]
    assert macs == sorted(macs)


def test_times_are_printed_with_what_they_depend_on(atrous):
    code, text, _ = atrous(
        "compare", "vanilla", "--encoder", "shufflenet_v2_x0_5", "--size", "32x32", "--latency"
    )
    assert code == 0
    header, row, *_, how = text.splitlines()
    assert header.split()[-2:] == ["latency", "spread"]
    assert row.split()[-1] == row.split()[-3] == "ms"
    assert "median of 20 runs after a warm-up" in how
    assert "batch of 1, 1 thread, contiguous, float32, cpu" in how


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("espnet", "--encoder", "resnet18"), "espnet stands on no encoder"),
        (("x.safetensors", "--encoder", "resnet18"), "name only segmenters over one"),
        (("unet", "--encoder", "resnet19"), "Did you mean 'resnet18'"),
        (("deeplabv3", "--encoder", "googlenet"), "no dilated form"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_in_one_line(atrous, arguments, message):
    code, text, error = atrous("compare", *arguments)
    assert (code, text) == (2, "")
    assert message in error
    assert error.count("\n") == 1
