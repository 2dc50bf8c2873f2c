"""Receptive fields of our encoders are the published ones of the networks that they are."""

import pytest

from atrous.analysis.receptive_field import receptive_field
from atrous.networks.encoders.catalog import create_encoder

# FACTS A4, measured there by gradients: fields of the five maps, and where the last one's begins.
# The maps that the table leaves out follow from its chain, r + (k - 1) j for each layer.
PUBLISHED = {
    "vgg11": ([4, 10, 30, 70, 150], -59),
    "vgg13": ([6, 16, 36, 76, 156], -62),
    "vgg16": ([6, 16, 44, 100, 212], -90),
    "vgg19": ([6, 16, 52, 124, 268], -118),
    "resnet18": ([7, 43, 99, 211, 435], -217),
    "resnet34": ([7, 59, 179, 547, 899], -449),
    "resnet50": ([7, 35, 91, 267, 427], -213),
    "resnet50_v1": ([7, 35, 99, 291, 483], -241),
    "resnet101": ([7, 35, 91, 811, 971], None),
    "resnet152": ([7, 35, 155, 1291, 1451], None),
    "googlenet_torchvision": ([7, 19, 59, 235, 379], None),
    "inception_v3": ([11, 23, 127, 927, 1311], -618),
    "shufflenet_v1_g3": ([3, 7, 63, 303, 527], None),
    "shufflenet_v2_x1_0": ([3, 7, 63, 303, 527], None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_fields_are_the_published_ones(name):
    encoder = create_encoder(name).eval()
    found = receptive_field(encoder, (320, 320), counts_holes=False)
    maps = [found.layers[f"output[{index}]"] for index in range(5)]
    sizes, start = PUBLISHED[name]
    assert found.is_exact
    assert [field.size for field in maps] == [(size, size) for size in sizes]
    assert [field.jump for field in maps] == [(r, r) for r in encoder.reductions]
    if start is not None:
        assert maps[-1].start == (start, start)
