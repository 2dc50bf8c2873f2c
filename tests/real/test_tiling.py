"""A real slide's level in tiles with the exact halo: the labels of one whole-image run."""

import pytest
import torch

from atrous.analysis.halo import halo
from atrous.inference import FullSize, plan_grid, run_tiled
from atrous.networks.catalog import build_network

pytest.importorskip("openslide", reason="needs the extra slides")

from atrous.data.readers.slide import open_slide

pytestmark = pytest.mark.real


def test_labels_in_tiles_are_those_of_the_whole_level(shared):
    with open_slide(shared / "data/slides/tcga-cr-7395-01a-01-ts1.svs", mpp=0.5) as slide:
        size = slide.size_at(1.0)
        assert size == (1783, 2221)
        rgb = slide.read((0, 0), size, mpp=1.0)
    image = (torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255 - 0.7) / 0.2
    image = image.contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    arguments = {"encoder": "resnet18", "num_classes": 8}
    network = FullSize(build_network("skip_encoder_decoder", arguments), resize="nearest")
    network = network.eval().to(memory_format=torch.channels_last)
    need = halo(network, (512, 512))
    with torch.inference_mode():
        whole = network(image)
    assert len(whole.argmax(1).unique()) > 1
    exact = 1e-4
    for core in (416, 512, 800):
        grid = plan_grid(size, core=(core, core), halo=need.pixels, alignment=need.alignment)
        tiled = run_tiled(network, image, grid)
        assert torch.equal(tiled.argmax(1), whole.argmax(1))
        assert (tiled - whole).abs().max() < exact
    less = tuple(n - step for n, step in zip(need.pixels, need.alignment, strict=True))
    grid = plan_grid(size, core=(800, 800), halo=less, alignment=need.alignment)
    assert (run_tiled(network, image, grid) - whole).abs().max() > exact
