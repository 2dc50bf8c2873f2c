"""A copy of a network is the network: the same mode in every module, the same outputs."""

import copy
import pickle

import pytest
import torch

from atrous.networks.catalog import create

NETWORKS = {
    "over an encoder of torchvision": ("lraspp", {}),
    "over another of torchvision": (
        "skip_encoder_decoder",
        {"encoder": "torchvision:mobilenet_v3_small"},
    ),
    "over one of timm": ("skip_encoder_decoder", {"encoder": "timm:tf_efficientnet_lite0"}),
    "over one of ours": ("unet", {"encoder": "shufflenet_v2_x0_5"}),
    "without an encoder": ("espnet", {"p": 1, "q": 1}),
    "of volumes": ("residual_unet", {"width": 2, "num_stages": 2}),
}
COPIES = {
    "copy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),  # noqa: S301 - our own
}


@pytest.mark.filterwarnings("ignore:Unexpected")
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", NETWORKS)
@torch.no_grad()
def test_a_copy_has_the_modes_and_the_outputs_of_the_network(kind, way):
    name, arguments = NETWORKS[kind]
    network = create(name, **arguments).eval()
    dims = 3 if name == "residual_unet" else 2
    channels = next(network.parameters()).shape[1]
    x = torch.rand(1, channels, *((16,) * 3 if dims == 3 else (64, 64)))
    twin = COPIES[way](network)
    assert not any(module.training for module in twin.modules())
    assert torch.equal(twin(x), network(x))
    network.train()
    next(iter(network.children())).eval()  # partly frozen, as in fine-tuning
    modes = [module.training for module in network.modules()]
    assert [module.training for module in COPIES[way](network).modules()] == modes
