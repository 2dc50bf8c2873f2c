"""The same weights in torchvision's classifiers and ours: the same outputs."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision import models

from atrous.errors import DataError
from atrous.networks.catalog import build_network
from atrous.networks.classifiers.vgg import vgg_encoder
from atrous.networks.convert.torchvision import convert_torchvision, is_torchvision, rename
from atrous.networks.convert.torchvision_keys import vgg_rules
from atrous.networks.encoders.catalog import create_encoder

# One small one of each kind; the others, the same code at other depths, where there is time.
QUICK = [
    "resnet18",
    "resnet50",
    "googlenet",
    "inception_v3",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_5",
]
SLOW = [
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "resnet34",
    "resnet101",
    "resnet152",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x2_0",
]
ALL = [*QUICK, *(pytest.param(name, marks=pytest.mark.real) for name in SLOW)]


def build_theirs(name: str, *, has_auxiliary: bool = True, num_classes: int = 7) -> nn.Module:
    if name in {"googlenet", "inception_v3"}:
        return models.get_model(
            name,
            weights=None,
            num_classes=num_classes,
            init_weights=False,
            aux_logits=has_auxiliary,
        )
    return models.get_model(name, weights=None, num_classes=num_classes)


def randomise(model: nn.Module) -> None:
    """Weights under which no signal dies or explodes, and no bias or statistic is trivial."""
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if tensor.dim() > 1:
            tensor.normal_(std=(1.5 / tensor[0].numel()) ** 0.5)
        elif key.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.5)
        else:
            tensor.normal_(std=0.1)


def make_pair(name: str, *, has_auxiliary: bool = True) -> tuple[nn.Module, nn.Module]:
    theirs = build_theirs(name, has_auxiliary=has_auxiliary)
    randomise(theirs)
    found, arguments, state = convert_torchvision(theirs.state_dict())
    assert found.removesuffix("_torchvision") == name
    ours = build_network(found, arguments)
    ours.load_state_dict(state)
    return theirs, ours


def example(name: str) -> torch.Tensor:
    side = 299 if name == "inception_v3" else 64
    return torch.randn(2, 3, side, side + 2)


def assert_equal(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
@pytest.mark.slow
def test_outputs_are_equal_in_eval_and_train_mode(name):
    theirs, ours = make_pair(name, has_auxiliary=False)
    x = example(name)
    assert_equal(ours.eval()(x), theirs.eval()(x))
    ours.train()
    theirs.train()
    answers = []
    for model in (theirs, ours):
        torch.manual_seed(5)  # of the dropout
        answers.append(model(x))
    assert_equal(answers[1], answers[0])
    # Training has moved the statistics of both, and by as much.
    assert_equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@torch.no_grad()
def test_auxiliary_heads_answer_as_torchvisions(name):
    theirs, ours = make_pair(name)
    x = example(name)
    assert_equal(ours.eval()(x), theirs.eval()(x))
    torch.manual_seed(5)
    expected, *late_to_early = theirs.train()(x)
    torch.manual_seed(5)
    logits, early = ours.train().forward_with_auxiliary(x)
    assert_equal(logits, expected)
    for actual, wanted in zip(reversed(early), late_to_early, strict=True):
        assert_equal(actual, wanted)


@pytest.mark.parametrize("depth", ["vgg11", "vgg13"])
@pytest.mark.parametrize("has_norm", [False, True])
@torch.no_grad()
def test_vggs_blocks_answer_as_torchvisions_without_their_large_head(depth, has_norm):
    table = models.vgg.cfgs[{"vgg11": "A", "vgg13": "B"}[depth]]
    theirs = nn.Sequential(OrderedDict(features=models.vgg.make_layers(table, has_norm)))
    randomise(theirs)
    rules = vgg_rules(depth, has_norm=has_norm)
    ours = nn.Sequential(OrderedDict(encoder=vgg_encoder(depth, has_norm=has_norm)))
    ours.load_state_dict(rename(theirs.state_dict(), rules, network=depth))
    x = example(depth)
    for mode in (True, False):
        assert_equal(ours.train(mode)(x)[-1], theirs.train(mode)(x))


def test_a_classifier_answers_with_logits_alone_in_every_mode():
    _, ours = make_pair("googlenet")
    assert ours.train()(example("googlenet")).shape == (2, 7)


@torch.no_grad()
def test_dilated_resnets_answer_as_torchvisions():
    theirs = models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
    randomise(theirs)
    ours = create_encoder("resnet50", output_stride=8)
    _, _, state = convert_torchvision(theirs.state_dict())
    encoder = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    ours.load_state_dict(encoder)
    x = torch.randn(1, 3, 65, 72)
    y = x
    for child in list(theirs.eval().children())[:-2]:
        y = child(y)
    assert_equal(ours.eval()(x)[-1], y)


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_names_classes_channels_and_heads_are_read_from_the_shapes(name):
    with torch.device("meta"):
        state = build_theirs(name, num_classes=11).state_dict()
    assert is_torchvision(state)
    found, arguments, tensors = convert_torchvision(state)
    assert found.removesuffix("_torchvision") == name
    assert arguments.pop("has_auxiliary", True) is True
    assert arguments == {"num_classes": 11, "in_channels": 3}
    assert len(tensors) == len(state)


def test_files_from_before_the_counters_of_batch_normalisation_load():
    state = models.resnet18(weights=None).state_dict()
    old = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    _, arguments, tensors = convert_torchvision(old)
    build_network("resnet18", arguments).load_state_dict(tensors)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnext50_32x4d", "ResNeXt and wide ResNets are not in the catalog"),
        ("wide_resnet50_2", "ResNeXt and wide ResNets are not in the catalog"),
        ("alexnet", "VGG of 5 convolutions; expected 8, 10, 13, 16"),
        ("mobilenet_v2", "expected a torchvision VGG"),
    ],
)
def test_other_networks_are_refused_by_what_they_are(name, message):
    with torch.device("meta"):
        state = models.get_model(name, weights=None).state_dict()
    with pytest.raises(DataError, match=message):
        convert_torchvision(state)


def test_a_tensor_of_another_network_is_named():
    state = models.resnet18(weights=None).state_dict()
    state["layer1.0.attention.weight"] = torch.zeros(1)
    with pytest.raises(DataError, match=r"'layer1.0.attention.weight' that resnet18 has not"):
        convert_torchvision(state)


def test_half_a_file_is_refused_by_what_it_lacks():
    state = models.resnet18(weights=None).state_dict()
    del state["conv1.weight"]
    with pytest.raises(DataError, match=r"lack \['conv1.weight'\]"):
        convert_torchvision(state)


def test_nothing_at_all_is_refused():
    with pytest.raises(DataError, match="Found 0 tensors"):
        convert_torchvision({})
