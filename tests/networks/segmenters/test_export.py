"""One exported graph answers as the network at every size: nothing of the example is burned in."""

import inspect

import numpy as np
import pytest
import torch

from atrous.networks.catalog import NETWORKS, build_network

ONNX = ("espnet", "espnetv2_seg_2018", "skip_encoder_decoder", "ynet", "ynet_seg")
"""Those that are also run by ONNX Runtime here: each resizes, pads or pools in another way."""
QUICK = {"espnet", "skip_encoder_decoder", "residual_unet"}
SIZES = {
    2: [(160, 192), (97, 131), (101, 177), (129, 96), (225, 150)],
    3: [(64, 64, 64), (33, 47, 50), (40, 31, 64), (57, 32, 41), (32, 32, 35)],
}

LARGER = {"espnetv2_seg_2018": [(160, 192), (137, 131), (149, 177), (129, 171), (225, 150)]}
"""Its pyramid has maps of one position at up to 128 pixels, which an exported graph refuses."""


def sizes(name: str, dims: int) -> list[tuple[int, ...]]:
    return LARGER.get(name, SIZES[dims])


def names() -> list[object]:
    found = [name for name, entry in NETWORKS.items() if entry.task != "classification"]
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.real]) for name in found]


def build(name: str) -> tuple[torch.nn.Module, int, int]:
    """The network with random weights, its channels and its number of spatial axes."""
    entry = NETWORKS[name]
    known = inspect.signature(entry.build).parameters
    arguments: dict[str, object] = {}
    if "encoder" in known and name != "segnet":
        arguments["encoder"] = "resnet18"  # of all encoders it is exported soonest
    if "width" in known and name == "residual_unet":
        arguments["width"] = 4
    network = build_network(name, arguments).eval()
    for module in network.modules():  # statistics as after training, so that numbers stay near 1
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_var.fill_(1.5)
    channels = known["in_channels"].default if "in_channels" in known else 3
    return network, channels, len(entry.size)


def outputs(value: object) -> list[torch.Tensor]:
    return list(value) if isinstance(value, tuple | list) else [value]


def export(network: torch.nn.Module, x: torch.Tensor) -> torch.export.ExportedProgram:
    free = torch.export.Dim.AUTO
    axes = {0: free, **dict.fromkeys(range(2, x.ndim), free)}
    return torch.export.export(network, (x,), dynamic_shapes=(axes,))


@pytest.mark.parametrize("name", names())
@torch.no_grad()
def test_an_exported_program_answers_alike_at_every_size(name):
    network, channels, dims = build(name)
    program = export(network, torch.rand(2, channels, *sizes(name, dims)[0])).module()
    for size in sizes(name, dims):
        x = torch.rand(1, channels, *size)
        for found, expected in zip(outputs(program(x)), outputs(network(x)), strict=True):
            # Pools of free lengths are products in a graph, which round otherwise.
            largest = float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("name", ONNX)
@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_onnx_answers_alike_at_every_size(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    network, channels, dims = build(name)
    x = torch.rand(2, channels, *sizes(name, dims)[0])
    path = str(tmp_path / "network.onnx")
    torch.onnx.export(export(network, x), (x,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    for size in sizes(name, dims):
        x = torch.rand(1, channels, *size)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        for ours, expected in zip(found, outputs(network(x)), strict=True):
            scale = float(expected.abs().max())
            assert np.abs(ours - expected.numpy()).max() <= 1e-4 * scale


@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_a_traced_network_answers_alike_at_a_size_that_does_not_divide():
    network, channels, _ = build("skip_encoder_decoder")
    traced = torch.jit.trace(network, torch.rand(1, channels, 128, 128))
    x = torch.rand(1, channels, 101, 77)
    torch.testing.assert_close(traced(x), network(x))
