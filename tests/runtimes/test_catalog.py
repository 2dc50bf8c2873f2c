"""Networks of the catalog as graphs: what holds for all of them, and some beside themselves."""

import pytest
import torch
from torch import nn

from atrous.networks.catalog import NETWORKS

AVERAGES = nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d


def lengths(pool):
    size = pool.output_size
    return {size} if isinstance(size, int) else set(size)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_pool_has_a_number_of_windows_that_graphs_would_fix(name):
    """ONNX has no adaptive pool but to 1: torch writes windows of one size into the graph."""
    with torch.device("meta"):
        network = NETWORKS[name].build()
    pools = [module for module in network.modules() if isinstance(module, AVERAGES)]
    assert all(lengths(pool) == {1} for pool in pools)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's exporter deprecates parts of itself
@pytest.mark.parametrize(
    ("name", "to"), [("shufflenet_v2_x0_5", "onnx"), ("residual_unet", "openvino")]
)
def test_graphs_answer_as_their_networks(name, to):
    from benchmarks.exports import compared, model_named

    pytest.importorskip(to, reason="needs the extra export")
    found = compared(model_named(name), to)
    assert found.refusal == ""
    assert len(found.certificate.comparisons) == 3
    assert found.certificate.largest < 1e-4
    assert found.certificate.equal > 0.9999
