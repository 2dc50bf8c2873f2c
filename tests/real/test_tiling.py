"""A real slide's level in tiles with the exact halo: the labels of one whole-image run."""

import pytest
import torch

from atrous.analysis.halo import halo
from atrous.inference import FullSize, plan_grid, run_tiled
from atrous.networks.catalog import build_network

pytest.importorskip("openslide", reason="needs the extra slides")

from atrous.data.slides.read import open_slide

pytestmark = pytest.mark.real

EXACT = 1e-4
"""Of logits."""


def network_of(name, **arguments):
    torch.manual_seed(0)
    network = FullSize(build_network(name, {"num_classes": 8, **arguments}), resize="nearest")
    return network.eval().to(memory_format=torch.channels_last)


def level_of(shared, crop=None):
    with open_slide(shared / "data/slides/tcga-cr-7395-01a-01-ts1.svs", mpp=0.5) as slide:
        size = slide.size_at(1.0)
        assert size == (1783, 2221)
        start = (0, 0) if crop is None else (700, 900)
        rgb = slide.read(start, crop or size, mpp=1.0)
    image = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255 - 0.7) / 0.2
    return image.contiguous(memory_format=torch.channels_last)


def in_tiles(network, image, core, pixels, alignment):
    grid = plan_grid(image.shape[2:], core=(core, core), halo=pixels, alignment=alignment)
    return run_tiled(network, image, grid)


def assert_equal(network, image, need, cores):
    with torch.inference_mode():
        whole = network(image)
    assert len(whole.argmax(1).unique()) > 1
    for core in cores:
        tiled = in_tiles(network, image, core, need.pixels, need.alignment)
        assert torch.equal(tiled.argmax(1), whole.argmax(1))
        assert (tiled - whole).abs().max() < EXACT
    return whole


def test_labels_in_tiles_are_those_of_the_whole_level(shared):
    image = level_of(shared)
    network = network_of("skip_encoder_decoder", encoder="resnet18")
    need = halo(network, (512, 512))
    whole = assert_equal(network, image, need, (416, 512, 800))
    less = tuple(n - step for n, step in zip(need.pixels, need.alignment, strict=True))
    assert (in_tiles(network, image, 800, less, need.alignment) - whole).abs().max() > EXACT


@pytest.mark.parametrize(
    ("name", "arguments", "crop", "cores"),
    [
        ("espnet", {"p": 1, "q": 1}, (512, 640), (136, 200, 320)),
        ("skip_encoder_decoder", {"encoder": "espnetv2_0_5"}, (512, 640), (192, 256, 320)),
        ("skip_encoder_decoder", {"encoder": "vgg16"}, (256, 416), (128, 160, 192)),
    ],
)
def test_so_are_those_of_other_networks_and_no_less_halo_would_do(
    shared, name, arguments, crop, cores
):
    network = network_of(name, **arguments)
    need = halo(network, (512, 512))
    assert_equal(network, level_of(shared, crop), need, cores)
    # What the rim of a halo adds may be too little for a float: a not-a-number is never.
    pixels, step = max(need.pixels), max(need.alignment)
    near = pixels + step
    image = torch.randn(1, 3, 2 * near + step, 128)

    def reaches_the_middle(row):
        marked = image.clone()
        marked[:, :, row : row + step] = torch.nan
        with torch.inference_mode():
            return bool(network(marked)[:, :, near : near + step].isnan().any())

    assert reaches_the_middle(step) or reaches_the_middle(2 * near - step)
    assert not reaches_the_middle(0)
    assert not reaches_the_middle(2 * near)
