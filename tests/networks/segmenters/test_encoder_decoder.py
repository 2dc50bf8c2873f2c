"""The deck's argument: vanilla loses resolution, a decoder helps, skip connections help more."""

import pytest
import torch
from torch import Tensor, nn

from atrous.analysis import profile, receptive_field
from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes
from atrous.networks.segmenters import create_segmenter

STEPS = ("vanilla", "encoder_decoder", "skip_encoder_decoder")


def shapes(num_images: int) -> tuple[Tensor, Tensor]:
    pairs = [draw_shapes(index, size=(32, 32)) for index in range(num_images)]
    images = torch.stack([torch.from_numpy(rgb).permute(2, 0, 1) for rgb, _ in pairs])
    masks = torch.stack([torch.from_numpy(mask) for _, mask in pairs])
    return images.float() / 128 - 1, masks.long()


def overfit(name: str, images: Tensor, masks: Tensor, *, num_steps: int) -> float:
    """The last loss of some full-batch steps."""
    torch.manual_seed(0)
    model = create_segmenter(name, encoder="shufflenet_v2_x0_5", num_classes=len(SHAPE_CLASSES))
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=5e-3)
    loss = torch.zeros(())
    for _ in range(num_steps):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images), masks)
        loss.backward()
        optimiser.step()
    return loss.item()


@pytest.mark.parametrize("encoder", ["resnet18", "vgg11_bn"])
def test_each_step_costs_more_and_the_decoder_sees_more(encoder):
    with torch.device("meta"):
        models = [create_segmenter(name, encoder=encoder).eval() for name in STEPS]
    params = [sum(p.numel() for p in model.parameters()) for model in models]
    macs = [profile(model, (128, 128)).macs for model in models]
    fields = [receptive_field(model, (512, 512)).field.size[0] for model in models]
    assert params[0] < params[1] < params[2]
    assert macs[0] < macs[1] < macs[2]
    assert fields[0] < fields[1] == fields[2]


@torch.no_grad()
def test_what_lies_within_one_position_reaches_only_the_later_steps():
    # Logits of step 1 are linear between two positions of the coarsest map, 32 pixels apart: their
    # second difference is zero. A decoder can bend them in between.
    x = torch.randn(1, 3, 128, 128)
    bend = {}
    for name in STEPS:
        logits = create_segmenter(name, encoder="resnet18", num_classes=2).eval()(x)
        inner = logits[..., 49:79]  # positions lie at 47.5 and 79.5
        bend[name] = (inner[..., 2:] - 2 * inner[..., 1:-1] + inner[..., :-2]).abs().max()
        bend[name] /= logits.abs().max()
    assert bend["vanilla"] < 1e-5
    assert bend["encoder_decoder"] > 1e-3
    assert bend["skip_encoder_decoder"] > 1e-3


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart_where_the_resolution_allows_it():
    images, masks = shapes(8)
    losses = {name: overfit(name, images, masks, num_steps=80) for name in STEPS}
    # One image is one position of the vanilla map: it can learn what is the same everywhere ...
    whole = (torch.arange(8) % len(SHAPE_CLASSES))[:, None, None].expand_as(masks)
    assert overfit("vanilla", images, whole, num_steps=30) < 0.05
    # ... but of shapes within the position it knows no more than their shares.
    shares = torch.stack([(masks == c).float().mean((1, 2)) for c in range(len(SHAPE_CLASSES))], 1)
    least = float(-torch.xlogy(shares, shares).sum(1).mean())
    assert losses["vanilla"] >= 0.99 * least > 0.5
    assert losses["skip_encoder_decoder"] < losses["encoder_decoder"] < 0.2
    assert losses["skip_encoder_decoder"] < 0.08
