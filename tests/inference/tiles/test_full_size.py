"""Networks that answer smaller than they are asked: masks as by `logits_to_masks`, and tiles."""

import pytest
import torch
from torch import nn

from atrous.analysis.halo import halo
from atrous.inference.tiles.full_size import FullSize
from atrous.inference.tiles.grid import plan_grid
from atrous.inference.tiles.sums import run_tiled
from atrous.networks.mask_resize import logits_to_masks


class Joint(nn.Module):
    """Logits of masks at a quarter of the size, and of labels."""

    def __init__(self):
        super().__init__()
        self.masks = nn.Conv2d(3, 4, 5, stride=4, padding=2)

    def forward(self, x):
        return self.masks(x), x.mean((2, 3))


@pytest.mark.parametrize("resize", ["nearest", "linear"])
def test_masks_are_those_of_masks_of_and_labels_pass_through(resize):
    network, image = Joint().eval(), torch.rand(2, 3, 32, 48)
    logits, labels = FullSize(network, resize=resize)(image)
    assert torch.equal(
        logits.argmax(1), logits_to_masks(network(image)[0], (32, 48), resize=resize)
    )
    assert torch.equal(labels, image.mean((2, 3)))


@pytest.mark.parametrize("resize", ["nearest", "linear"])
def test_tiles_take_the_resizing_into_account(resize):
    network = FullSize(Joint().masks, resize=resize).double().eval()
    need = halo(network, (64, 64))
    image = torch.rand(1, 3, 96, 64, dtype=torch.float64)
    grid = plan_grid((96, 64), core=(16, 32), halo=need.pixels, alignment=need.alignment)
    torch.testing.assert_close(run_tiled(network, image, grid), network(image), rtol=0, atol=1e-12)
