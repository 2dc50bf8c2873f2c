"""A copy of a network is the network: the same modes, the same outputs, statistics that stay.

Every network and encoder of the catalogs, the latter also where they are torchvision's and timm's.
"""

import copy
import pickle
from inspect import signature

import pytest
import torch
from torch import Tensor, nn

from atrous.networks.catalog import NETWORKS, build_network
from atrous.networks.encoders.catalog import create_encoder

QUICK = "shufflenet_v2_x0_5"
SMALL = {
    "espnet": {"p": 1, "q": 1},
    "espnet_c": {"p": 1, "q": 1},
    "espnetv2_seg": {"width": "0_5"},
    "espnetv2_seg_2018": {"width": "0_5"},
    "residual_unet": {"width": 2, "num_stages": 2},
    "biopsy": {"margin": 8},
    "segnet": {"encoder": "vgg11_bn"},
    "fcn32s": {"encoder": QUICK, "width": 8},
    "fcn16s": {"encoder": QUICK, "width": 8},
    "fcn8s": {"encoder": QUICK, "width": 8},
}
FOREIGN = (
    "torchvision:mobilenet_v3_small",
    "torchvision:squeezenet1_1",
    "torchvision:regnet_x_400mf",
    "torchvision:googlenet",
    "torchvision:swin_t",
    "timm:resnet18",
    "timm:mobilenetv3_small_050",
    "timm:test_vit",
)
SLOW = {"biopsy", "segnet"}
"""Segmenters of twenty million weights."""
ONE_OF_A_FAMILY = {
    "encoder vgg11",
    "googlenet",
    "googlenet_torchvision",
    "resnet18",
    "shufflenet_v1_g1",
    "shufflenet_v2_x0_5",
    "espnetv2_0_5",
}
"""Classifiers that run always; the others of their families do so where there is time."""
TOO_LARGE_IN_3D = ("biopsy", "segnet", "vgg", "resnet34", "resnet50", "resnet101", "resnet152")
NOT_IN_3D = ("inception_v3",)


def arguments_of(name: str, dims: int) -> dict[str, object]:
    known = signature(NETWORKS[name].build).parameters
    small = SMALL.get(name, {"encoder": QUICK, "output_stride": 32} if "encoder" in known else {})
    # Two channels for what reads one by default: a lone channel is contiguous in every order.
    wanted = {"num_classes": 3, "in_channels": 2, "spatial_dims": dims}
    return {**wanted, **small}


def build(kind: str) -> nn.Module:
    name, _, dims = kind.rpartition(" in ")
    if name.startswith("encoder "):
        return create_encoder(name.removeprefix("encoder "), in_channels=2, spatial_dims=int(dims))
    return build_network(name, arguments_of(name, int(dims)))


def cases() -> list[object]:
    """Every network, in 3D those whose copies fit into seconds.

    VGGs stand for their encoders: their heads are linear layers of a hundred million weights.
    """
    flat = [f"encoder {name}" if name.startswith("vgg") else name for name in NETWORKS]
    quick = (
        ONE_OF_A_FAMILY
        | {name for name, entry in NETWORKS.items() if entry.task != "classification"} - SLOW
    )
    return [
        *(
            pytest.param(f"{name} in 2", marks=() if name in quick else pytest.mark.slow)
            for name in flat
        ),
        *(f"encoder {name} in 2" for name in FOREIGN),
        *(
            pytest.param(f"{name} in 3", marks=pytest.mark.slow)
            for name in NETWORKS
            if not name.startswith((*TOO_LARGE_IN_3D, *NOT_IN_3D))
        ),
    ]


def settled(network: nn.Module) -> nn.Module:
    """In eval mode, with statistics as after some training: never 0 and 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def parts(output: object) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in parts(part)]


def through_pickle(network: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(network))  # noqa: S301 - our own


def modes(network: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in network.named_modules()}


def from_meta(kind: str, network: nn.Module) -> nn.Module:
    with torch.device("meta"):
        empty = build(kind).eval()
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    empty.load_state_dict(network.state_dict(), assign=True)
    return empty


def image(kind: str, network: nn.Module) -> Tensor:
    dims = int(kind.rpartition(" ")[2])
    encoder = getattr(network, "encoder", network)
    least = max(getattr(encoder, "minimum_size", 0), 32 if dims == 2 else 16)
    step = max(getattr(encoder, "divisor", 1), 4)
    return torch.randn(2, 2, *(least + more for more in (0, step, 0)[:dims]))


@pytest.mark.filterwarnings("ignore:Unexpected")
@pytest.mark.parametrize("kind", cases())
@torch.no_grad()
def test_copies_have_the_modes_the_outputs_and_the_statistics_of_the_network(kind):
    network = settled(build(kind))
    x = image(kind, network)
    expected = parts(network(x))
    assert all(part.isfinite().all() and part.std() > 0 for part in expected)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    twins = {
        "copy": copy.deepcopy(network),
        "pickle": through_pickle(network),
        "meta": from_meta(kind, network),
    }
    for way, twin in twins.items():
        assert modes(twin) == modes(network), way
        assert all(map(torch.equal, parts(twin(x)), expected)), way
        assert all(torch.equal(t, state[name]) for name, t in twin.state_dict().items()), way
    last = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    others = {
        "half the batch": [
            torch.cat(pair)
            for pair in zip(*(parts(network(half)) for half in x.split(1)), strict=True)
        ],
        "channels last": parts(
            twins["copy"].to(memory_format=last)(x.contiguous(memory_format=last))
        ),
        "double": parts(twins["pickle"].double()(x.double())),
    }
    for way, found in others.items():
        for one, other in zip(found, expected, strict=True):
            scale = other.abs().max().item()
            assert (one.to(other) - other).abs().max() <= 1e-3 * scale, way
    assert found[0].dtype == torch.float64
    assert all(modes(twin) == modes(network) for twin in twins.values())
    assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())


@pytest.mark.parametrize(
    "kind",
    [
        "lraspp in 2",
        "encoder torchvision:swin_t in 2",
        "encoder timm:resnet18 in 2",
        "unet in 2",
        "residual_unet in 3",
    ],
)
@pytest.mark.parametrize("way", [copy.deepcopy, through_pickle])
def test_what_is_frozen_in_part_is_so_in_copies(kind, way):
    network = build(kind).train()
    for index, module in enumerate(network.modules()):
        module.training = index % 3 > 0
    assert modes(way(network)) == modes(network)


def test_latency_of_channels_last_leaves_alone_and_times_a_network_in_its_own_mode():
    from torchvision.models import mobilenet_v3_small
    from torchvision.models.feature_extraction import create_feature_extractor

    from atrous.analysis.latency import _with_channels_last

    theirs = create_feature_extractor(mobilenet_v3_small(weights=None), ["features.3"]).eval()
    twin, _ = _with_channels_last(theirs, torch.rand(1, 3, 32, 32))
    assert modes(twin) == modes(theirs)
    assert twin.graph is twin.eval_graph


def test_an_average_of_weights_answers_as_the_network_it_began_with():
    from atrous.training.ema import moving_average

    network = settled(build("lraspp in 2"))
    x = image("lraspp in 2", network)
    average = moving_average(network, 0.9).module
    with torch.no_grad():
        assert torch.equal(average(x), network(x))
