"""The mean over mirrored and resized inputs: what it must equal, and what it leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import ShapeError
from atrous.inference import Predictor, load
from atrous.inference.tta import Averaging, classify_averaged, predict_averaged
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing, preprocess

AS_IT_IS = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)


def card(task, preprocessing=AS_IT_IS, num_classes=3):
    return Card(
        name="test.none",
        network="espnet",
        task=task,
        class_names=tuple(f"class {i}" for i in range(num_classes)),
        palette=((0, 0, 0),) * num_classes,
        label_names=("left", "right") if task == "joint" else (),
        preprocessing=preprocessing,
    )


class Lopsided(nn.Module):
    """Class 0 wherever the left neighbour is darker: mirroring the input changes the answer."""

    def forward(self, x):
        grey = x.mean(1, keepdim=True)
        rise = grey - F.pad(grey, (1, 0))[..., :-1]
        return torch.cat([40 * rise, -40 * rise, torch.zeros_like(rise)], dim=1)


class LopsidedJoint(Lopsided):
    def forward(self, x):
        half = x.shape[-1] // 2
        left, right = x[..., :half].mean((1, 2, 3)), x[..., -half:].mean((1, 2, 3))
        return super().forward(x), torch.stack([9 * left, 9 * right], dim=1)


def test_one_scale_without_flip_is_the_prediction_itself(tiny_weights, image):
    predictor = load(tiny_weights)
    alone = predictor.predict_probabilities(image)
    averaged = predict_averaged(predictor, image, Averaging())
    assert torch.equal(averaged.mask, alone.mask)
    torch.testing.assert_close(averaged.probabilities, alone.probabilities)


def test_flip_is_the_mean_with_the_mirrored_image(image):
    predictor = Predictor(Lopsided(), card("segmentation"))
    averaged = predict_averaged(predictor, image, Averaging(has_flip=True))
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    plain = Lopsided()(x).softmax(1)
    mirrored = Lopsided()(x.flip(-1)).softmax(1).flip(-1)
    assert not torch.allclose(plain, mirrored)
    torch.testing.assert_close(averaged.probabilities, ((plain + mirrored) / 2)[0])
    assert torch.equal(averaged.mask.long(), ((plain + mirrored) / 2)[0].argmax(0))


def test_with_flip_a_mirrored_image_gives_the_mirrored_mask(tiny_weights, image):
    predictor = load(tiny_weights)
    averaging = Averaging(scales=(0.75, 1.0, 1.25), has_flip=True)
    one = predict_averaged(predictor, image, averaging).probabilities
    other = predict_averaged(predictor, image[:, ::-1], averaging).probabilities
    torch.testing.assert_close(other.flip(-1), one)


@pytest.mark.parametrize("size", [None, (24, 40)])
def test_scales_are_of_the_networks_input_size(tiny_weights, image, size):
    predictor = load(tiny_weights)
    facts = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=size)
    predictor = Predictor(predictor.network, card("segmentation", facts, num_classes=4))
    averaged = predict_averaged(predictor, image, Averaging(scales=(0.5, 1.0)))
    height, width = size or (37, 50)
    total = torch.zeros(1, 4, 37, 50)
    for lengths in ((round(height / 2), round(width / 2)), (height, width)):
        x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        x = F.interpolate((x - 0.5) / 0.25, size=lengths, mode="bilinear", align_corners=False)
        with torch.inference_mode():
            probabilities = predictor.network(x).softmax(1)
        total += F.interpolate(probabilities, size=(37, 50), mode="bilinear")
    torch.testing.assert_close(averaged.probabilities, total[0] / 2, atol=1e-4, rtol=1e-4)
    assert averaged.mask.shape == (37, 50)
    assert averaged.mask.dtype == torch.uint8


def test_labels_of_a_joint_network_are_averaged_too(image):
    predictor = Predictor(LopsidedJoint(), card("joint"))
    alone = predictor.predict(image).label_probabilities
    mirrored = predictor.predict(image[:, ::-1]).label_probabilities
    averaged = predict_averaged(predictor, image, Averaging(has_flip=True))
    torch.testing.assert_close(averaged.label_probabilities, (alone + mirrored) / 2)
    assert averaged.label_probabilities.sum() == pytest.approx(1)


class CentreColour(nn.Module):
    """Logits from where the input is bright, so that crop and size matter."""

    def forward(self, x):
        ramp = torch.linspace(0, 1, x.shape[-1])
        return torch.stack([(x * ramp).sum((1, 2, 3)), x.sum((1, 2, 3))], dim=1) / 40


def test_a_classifiers_scale_keeps_what_part_of_the_image_it_sees(image):
    facts = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=(16, 16), shorter_side=20)
    predictor = Predictor(CentreColour(), card("classification", facts, num_classes=2))
    averaged = classify_averaged(predictor, image, Averaging(scales=(1.0, 1.5), has_flip=True))
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    expected = []
    for crop, shorter in ((16, 20), (24, 30)):
        scaled = Preprocessing(
            mean=(0.0,) * 3, std=(1.0,) * 3, size=(crop, crop), shorter_side=shorter
        )
        expected += [
            CentreColour()(preprocess(pixels, scaled)).softmax(1)[0] for pixels in (x, x.flip(-1))
        ]
    torch.testing.assert_close(averaged.label_probabilities, torch.stack(expected).mean(0))
    assert averaged.label_names == ("class 0", "class 1")


def test_the_predictor_is_left_as_it_was(tiny_weights, image):
    predictor = load(tiny_weights)
    before = predictor.predict_probabilities(image).probabilities
    predict_averaged(predictor, image, Averaging(scales=(0.5, 2.0), has_flip=True))
    assert predictor.card.preprocessing.size is None
    assert torch.equal(predictor.predict_probabilities(image).probabilities, before)


def test_a_file_an_array_and_a_tensor_give_the_same(tiny_weights, image, tmp_path):
    from PIL import Image

    Image.fromarray(image).save(tmp_path / "x.png")
    predictor = load(tiny_weights)
    averaging = Averaging(scales=(1.0, 1.3), has_flip=True)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    results = [
        predict_averaged(predictor, given, averaging).probabilities
        for given in (tmp_path / "x.png", image, tensor)
    ]
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_an_image_of_one_pixel_is_averaged(tiny_weights):
    image = np.zeros((1, 1, 3), np.uint8)
    averaging = Averaging(scales=(0.25, 1.0, 3.0), has_flip=True)
    assert predict_averaged(load(tiny_weights), image, averaging).mask.shape == (1, 1)


@pytest.mark.parametrize("scales", [(), (0.0,), (-1.0, 1.0), (float("nan"),), (float("inf"),)])
def test_what_is_no_scale_is_refused(scales):
    with pytest.raises(ShapeError, match="expected numbers above 0"):
        Averaging(scales=scales)


def test_a_scale_that_stands_twice_is_refused():
    with pytest.raises(ShapeError, match="each of them once"):
        Averaging(scales=(1.0, 1.0))


@pytest.mark.parametrize("shape", [(5,), (5, 5, 4)])
def test_what_is_no_picture_is_refused(tiny_weights, shape):
    averaging = Averaging(has_flip=True)
    with pytest.raises(ShapeError, match="expected RGB"):
        predict_averaged(load(tiny_weights), np.zeros(shape, np.uint8), averaging)
