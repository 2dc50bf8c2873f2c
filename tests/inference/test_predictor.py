"""The predictor's mask is the network's argmax; batches, sizes and kinds of input agree."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

import atrous
from atrous.data.synthetic.shapes import draw_shapes
from atrous.errors import DataError, ShapeError
from atrous.inference import Predictor, fold
from atrous.inference.predictor import pixels_of
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing, preprocess


@pytest.fixture
def predictor(tiny_weights):
    return atrous.load(tiny_weights)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)


def test_the_mask_is_the_argmax_of_the_plain_network(predictor, image):
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        logits = predictor.network(preprocess(pixels, predictor.card.preprocessing))
    prediction = predictor.predict_probabilities(image)
    top = logits[0].topk(2, dim=0)
    is_clear = top.values[0] - top.values[1] > 1e-4  # folding may turn what is all but a tie
    assert is_clear.float().mean() > 0.9
    assert torch.equal(prediction.mask[is_clear], top.indices[0].to(torch.uint8)[is_clear])
    assert torch.allclose(prediction.probabilities, logits[0].softmax(0), atol=1e-4)


def test_a_file_an_array_and_a_tensor_give_the_same_mask(predictor, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "x.png")
    from_array = predictor.predict(image).mask
    from_tensor = predictor.predict(torch.from_numpy(image).permute(2, 0, 1) / 255).mask
    assert torch.equal(predictor.predict(tmp_path / "x.png").mask, from_array)
    assert torch.equal(predictor.predict(str(tmp_path / "x.png")).mask, from_array)
    assert (from_tensor == from_array).float().mean() > 0.999


def test_a_batch_gives_what_each_image_gives(predictor, image):
    others = [image, image[::-1].copy(), image[:, ::-1]]  # the last is not contiguous
    together = predictor.predict_batch(others)
    for prediction, alone in zip(together, map(predictor.predict, others), strict=True):
        assert torch.equal(prediction.mask, alone.mask)


def test_an_image_that_is_resized_gets_a_mask_of_its_own_size(image):
    facts = Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=(16, 24))
    card = Card(
        name="espnet.small",
        network="espnet",
        arguments={"num_classes": 2},
        task="segmentation",
        class_names=("a", "b"),
        palette=((0, 0, 0), (9, 9, 9)),
        preprocessing=facts,
    )
    network = build_network("espnet", {"num_classes": 2, "p": 1, "q": 1})
    prediction = Predictor(network, card).predict_probabilities(image)
    assert prediction.mask.shape == (37, 50)
    assert prediction.probabilities.shape == (2, 37, 50)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        torch.zeros(1, 4, 4),
    ],
    ids=["grey floats", "empty", "RGBA", "float", "one channel"],
)
def test_other_arrays_are_refused(predictor, wrong):
    with pytest.raises(ShapeError):
        predictor.predict(wrong)


def test_images_of_different_sizes_are_no_batch(predictor, image):
    with pytest.raises(ShapeError, match="give one size"):
        predictor.predict_batch([image, image[1:]])


def test_no_images_are_no_predictions(predictor):
    assert predictor.predict_batch([]) == []


def test_shares_sum_to_one(predictor):
    image, _ = draw_shapes(0)
    shares = predictor.predict(image).shares()
    assert list(shares) == ["background", "disc", "square", "stripe"]
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        (torch.full((3, 8, 8), 255.0), "from 255 to 255"),
        (torch.full((3, 8, 8), -1.0), "from -1 to -1"),
        (torch.full((3, 8, 8), torch.nan), "from nan to nan"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "torch.int64"),
        (torch.zeros(3, 0, 8), "no length of 0"),
    ],
)
def test_a_tensor_whose_white_is_not_known_is_refused(predictor, numbers, found):
    with pytest.raises(ShapeError, match=found):
        predictor.predict(numbers)


def test_every_form_of_a_picture_gives_the_same_mask(predictor, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "x.png")
    read_only = np.asarray(Image.fromarray(image))
    assert not read_only.flags.writeable
    forms = [
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        Image.fromarray(image),
        read_only,
        torch.from_numpy(image).permute(2, 0, 1),
        torch.from_numpy(image).permute(2, 0, 1).float() / 255,
    ]
    masks = [predictor.predict(form).mask for form in forms]
    assert all(torch.equal(mask, masks[0]) for mask in masks)
    grey = image[:, :, 0]
    colour = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    assert torch.equal(predictor.predict(grey).mask, predictor.predict(colour).mask)


@pytest.mark.parametrize("channels", [1, 4])
def test_read_only_floats_of_any_channels_are_taken_without_a_warning(channels):
    pixels = np.random.default_rng(0).random((8, 9, channels), dtype=np.float32)
    pixels.setflags(write=False)
    found = pixels_of(pixels)
    assert torch.equal(found, torch.tensor(pixels.transpose(2, 0, 1).copy()))
    found += 1  # is not their memory


def test_a_prediction_shows_and_saves_itself(predictor, image, tmp_path):
    prediction = predictor.predict(image)
    prediction.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as saved:
        assert np.array_equal(np.array(saved), prediction.mask.numpy())
    assert prediction.overlay().width >= image.shape[1]
    assert "data:image/png;base64," in prediction._repr_html_()
    assert repr(prediction).startswith("Prediction(mask of 37x50")
    with pytest.raises(DataError, match=r"ends in \.png"):
        prediction.save(tmp_path / "mask.jpg")
    with pytest.raises(DataError, match="was not kept"):
        predictor.predict_batch([image])[0].overlay()
    with pytest.raises(DataError, match="no class of the whole image"):
        prediction.top()


@pytest.fixture
def joint_card():
    return Card(
        name="ynet.test",
        network="ynet",
        arguments={"num_classes": 2, "num_labels": 3},
        task="joint",
        class_names=("a", "b"),
        palette=((0, 0, 0), (9, 9, 9)),
        label_names=("x", "y", "z"),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3),
    )


class JointNetwork(torch.nn.Module):
    """The least that gives mask logits of two classes and logits of three labels."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Conv2d(3, 2, 3, padding=1)
        self.branch = torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.head(x), self.branch(x.mean((2, 3)))


def test_a_joint_network_gives_the_mask_of_its_first_output_and_labels_of_its_second(
    joint_card, image
):
    joint = Predictor(JointNetwork(), joint_card)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        logits, labels = joint.network(preprocess(pixels, joint_card.preprocessing))
    for prediction in (joint.predict(image), joint.predict_probabilities(image)):
        assert torch.allclose(prediction.label_probabilities, labels[0].softmax(0), atol=1e-4)
        assert prediction.label_names == ("x", "y", "z")
        assert prediction.label.top(1)[0][0] == "xyz"[int(labels.argmax())]
        is_clear = (logits[0, 0] - logits[0, 1]).abs() > 1e-4
        assert is_clear.any()
        assert torch.equal(prediction.mask[is_clear], logits[0].argmax(0).to(torch.uint8)[is_clear])


def test_a_batch_of_a_joint_network_gives_every_image_its_own_label(joint_card, image):
    joint = Predictor(JointNetwork(), joint_card)
    images = [image, 255 - image]
    together = joint.predict_batch(images)
    for prediction, alone in zip(together, map(joint.predict, images), strict=True):
        torch.testing.assert_close(
            prediction.label_probabilities, alone.label_probabilities, atol=1e-5, rtol=0
        )
    assert not torch.allclose(together[0].label_probabilities, together[1].label_probabilities)


def test_labels_without_names_are_numbered(joint_card, image):
    joint = Predictor(JointNetwork(), dataclasses.replace(joint_card, label_names=()))
    assert joint.predict(image).label_names == ("label 0", "label 1", "label 2")


def test_a_card_of_another_number_of_labels_is_refused(joint_card, image):
    joint = Predictor(JointNetwork(), dataclasses.replace(joint_card, label_names=("x", "y")))
    with pytest.raises(DataError, match="names 2 labels, but the network gives 3"):
        joint.predict(image)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("segmentation", "gives a pair, but its card says that its task is segm"),
        ("classification", "gives a pair, but its card says that it only"),
    ],
)
def test_a_pair_from_a_network_whose_card_says_otherwise_is_refused(
    joint_card, image, task, message
):
    card = dataclasses.replace(joint_card, task=task, label_names=())
    with pytest.raises(DataError, match=message):
        Predictor(JointNetwork(), card).predict(image)


def test_one_output_from_a_network_whose_card_says_two_is_refused(joint_card, predictor, image):
    with pytest.raises(DataError, match="gives one output, but its card says"):
        Predictor(predictor.network, joint_card).predict(image)


def test_a_network_of_masks_says_nothing_of_the_whole_image(predictor, image):
    prediction = predictor.predict(image)
    assert prediction.label is None
    assert prediction.label_names == ()


def test_folding_changes_no_output_and_no_original():
    network = build_network("espnet", {"num_classes": 5, "p": 1, "q": 1})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
    network.eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    x = torch.randn(1, 3, 32, 40)
    with torch.no_grad():
        expected = network(x)
        folded = fold(network)
        assert torch.allclose(folded(x), expected, rtol=1e-4, atol=1e-5 * expected.abs().max())
    assert all(torch.equal(network.state_dict()[key], before[key]) for key in before)
    assert not isinstance(folded.encoder.stem.norm, torch.nn.BatchNorm2d)
