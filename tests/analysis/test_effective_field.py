"""Effective fields: exact widths of uniform kernels, and the model left alone."""

import numpy as np
import pytest
import torch
from torch import nn

from atrous.analysis import effective_receptive_field
from atrous.errors import AtrousError, ShapeError, UnknownNameError


def uniform(count, dims=1, **settings):
    conv = [nn.Conv1d, nn.Conv2d, nn.Conv3d][dims - 1]
    net = nn.Sequential(*(conv(1, 1, 3, padding=1, bias=False, **settings) for _ in range(count)))
    for layer in net:
        nn.init.constant_(layer.weight, 1 / 3**dims)
    return net.double()


# Source: n layers of uniform 3-tap kernels have a variance of 2n/3; checked by gradient.
WIDTHS = {
    5: (1.8257, 9, 11),
    10: (2.5820, 13, 21),
    20: (3.6515, 19, 41),
    40: (5.1640, 25, 81),
    80: (7.3030, 37, 161),
}


@pytest.mark.parametrize("count", WIDTHS)
def test_uniform_kernels_give_the_gaussian_of_the_paper(count):
    sigma, width, theoretical = WIDTHS[count]
    field = effective_receptive_field(uniform(count), size=(theoretical + 20,), num_images=1)
    assert field.sigma[0] == pytest.approx(sigma, abs=5e-5)
    assert field.size == (width,)
    assert field.theoretical == (theoretical,)
    assert field.share[0] == pytest.approx(width / theoretical)


def test_in_two_dimensions_each_axis_is_measured_and_the_area_is_round():
    field = effective_receptive_field(uniform(10, 2), size=(41, 51), num_images=2)
    assert field.map.shape == (41, 51)
    assert field.size == (13, 13)
    assert field.sigma == pytest.approx((2.5820, 2.5820), abs=5e-5)
    assert field.centre == pytest.approx((20, 25))
    # The map is the outer product of its axis with itself.
    line = np.linalg.matrix_power(np.eye(41) + np.eye(41, k=1) + np.eye(41, k=-1), 10)[20]
    square = np.outer(line, line) / line.max() ** 2
    assert field.area == int((square > 0.0455).sum())
    assert field.map.max() == 1


def test_in_three_dimensions_too():
    field = effective_receptive_field(uniform(2, 3), size=(7, 9, 11), num_images=1)
    assert field.size == (5, 5, 5)
    assert field.sigma == pytest.approx((np.sqrt(4 / 3),) * 3)


def test_outside_the_theoretical_field_there_is_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2), nn.ReLU(), nn.Conv2d(4, 2, 3, stride=2))
    field = effective_receptive_field(net, size=(33, 33))
    rows, columns = np.nonzero(field.map)
    assert np.ptp(rows) < field.theoretical[0]
    assert np.ptp(columns) < field.theoretical[1]


def test_real_images_and_inner_layers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 5), nn.Flatten())
    field = effective_receptive_field(net, torch.rand(3, 3, 20, 20), output="0")
    assert (field.layer, field.num_images, field.theoretical) == ("0", 3, (3, 3))
    assert field.size == (3, 3)


def test_the_same_seed_gives_the_same_map():
    net = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 1, 5))
    one, two = (effective_receptive_field(net, size=(20, 20), seed=3).map for _ in range(2))
    assert np.array_equal(one, two)


def test_the_model_keeps_its_buffers_gradients_and_mode():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 3)).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    effective_receptive_field(net, size=(12, 12), output="2")
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert net.training
    assert not net[2]._forward_hooks


def test_mistakes_are_explained():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten())
    with pytest.raises(ShapeError, match="Neither images nor size"):
        effective_receptive_field(net)
    with pytest.raises(ShapeError, match="no map"):
        effective_receptive_field(net, size=(8, 8))
    with pytest.raises(UnknownNameError, match="conv9"):
        effective_receptive_field(net, size=(8, 8), output="conv9")
    with pytest.raises(AtrousError, match="no weights"):
        effective_receptive_field(nn.Conv2d(1, 1, 3, device="meta"), size=(8, 8))
    nn.init.zeros_(net[0].weight)
    with pytest.raises(AtrousError, match="zero or not finite"):
        effective_receptive_field(net, size=(8, 8), output="0")
