"""Kernels that do several layers at once take memory of their own; torch's profiler counts it."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiled

from atrous.analysis import profile


def allocated_at_most(model, *inputs):
    """Most bytes that a forward pass has allocated at one time, without its inputs."""
    with torch.no_grad():
        model(*inputs)
        with profiled(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
            model(*inputs)
    events = [e for e in run.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


SIZES = [  # batch, tokens, width, heads, hidden
    (1, 64, 64, 8, 128),
    (2, 128, 64, 2, 64),
    (4, 50, 128, 4, 4096),
]


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_fused_encoder_layer_takes_what_torch_allocates(size, norm_first):
    batch, tokens, width, heads, hidden = size
    layer = nn.TransformerEncoderLayer(
        width, heads, hidden, batch_first=True, norm_first=norm_first
    ).eval()
    image = torch.rand(batch, tokens, width)
    ours = profile(layer, inputs=[image]).peak_activation_bytes - 4 * image.numel()
    assert ours == pytest.approx(allocated_at_most(layer, image), rel=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_fused_attention_takes_what_torch_allocates(size):
    batch, tokens, width, heads, _ = size
    layer = nn.MultiheadAttention(width, heads, batch_first=True).eval()

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    image = torch.rand(batch, tokens, width)
    ours = profile(Attend().eval(), inputs=[image]).peak_activation_bytes - 4 * image.numel()
    assert ours == pytest.approx(allocated_at_most(Attend().eval(), image), rel=0.02)


def test_what_a_recurrent_layer_keeps_is_said_to_be_more():
    layer = nn.LSTM(8, 16, batch_first=True).train()
    cost = profile(layer, inputs=[torch.rand(4, 20, 8)])
    assert cost.saved_activation_bytes >= 4 * 4 * 20 * (8 + 16)
    assert cost.unmeasured == ("mkldnn_rnn_layer in the model",)
    assert profile(nn.GRU(8, 16), inputs=[torch.rand(4, 20, 8)]).unmeasured == ()
