"""Random graphs and random idioms: what kinds there are, and one case for each seed."""

from collections.abc import Callable, Sequence
from random import Random

import torch
from tests.analysis.fuzz import idioms_branches as branches
from tests.analysis.fuzz import idioms_heads as heads
from tests.analysis.fuzz import idioms_outputs as outputs
from tests.analysis.fuzz import idioms_positions as positions
from tests.analysis.fuzz import idioms_silent as silent
from tests.analysis.fuzz import idioms_state as state
from tests.analysis.fuzz import idioms_weights as weights
from tests.analysis.fuzz import steps_channels as channels
from tests.analysis.fuzz import steps_mixing as mixing
from tests.analysis.fuzz import steps_reductions as reductions
from tests.analysis.fuzz import steps_window as window
from tests.analysis.fuzz import steps_writes as writes
from tests.analysis.fuzz.case import DTYPE, Case
from torch import nn

MakeStep = Callable[[Random, int, int], nn.Module]

TILED: tuple[MakeStep, ...] = (
    *[window.conv, window.conv, window.conv_strided, window.max_pool, window.nearest],
    *[window.linear, window.to_size_of_input, window.pixel_shuffle, window.bicubic],
    *[channels.activation, channels.activation_inplace, channels.prelu, channels.batch_norm],
    *[channels.channel_norm, channels.channel_softmax, channels.channel_sort],
    *[channels.channel_parts, channels.channel_shuffle, channels.channels_last, channels.einsum],
    *[channels.gated, channels.branches, channels.branches, channels.shortcut],
    *[channels.constant_like, channels.fixed_channels, channels.standardised_weight],
    *[writes.tensor_counter, reductions.over_channels, reductions.products],
    *[reductions.bilinear, reductions.split],
)
"""Steps after which a halo is right, alone and one after the other."""

OTHERS: tuple[MakeStep, ...] = (
    *[window.conv_uneven, window.conv_circular, window.conv_transposed, window.conv_transposed],
    *[window.avg_pool, window.pool_rounded_up, window.lp_pool, window.adaptive_pool],
    *[window.unpool, window.nearest_odd, window.linear_odd, window.smooth_resize],
    *[window.area_resize, window.pad, window.pad_circular, window.crop, window.pixel_unshuffle],
    *[window.columns, window.folded, window.windows, window.parity_split, channels.casts],
    *[writes.write_local, writes.write_local, writes.write_everywhere, writes.loses_thread],
    *[mixing.squeeze_excite, mixing.statistics, mixing.axis_softmax, mixing.accumulate],
    *[mixing.flip, mixing.roll, mixing.pad_by_mirror, mixing.dense_axis, mixing.attention],
    *[mixing.masked_taps, mixing.sampled, mixing.gathered, mixing.fourier],
    *[reductions.over_an_axis, reductions.over_everything, reductions.strided_view],
    *[reductions.put_by_index, reductions.boxes, reductions.more_sums, reductions.heads],
    *[reductions.sampled_volume],
)
"""All other steps."""

ONLY_2D: frozenset[MakeStep] = frozenset(
    [
        *[window.bicubic, window.smooth_resize, window.pixel_shuffle, window.pixel_unshuffle],
        *[window.columns, window.folded, mixing.sampled, reductions.boxes],
    ]
)
ONLY_3D: frozenset[MakeStep] = frozenset([reductions.sampled_volume])

IDIOMS: tuple[Callable[[Random], Case], ...] = (
    *[state.state_tensor, state.state_map, state.state_cache, state.state_modules],
    *[weights.trainable_adapter, weights.asks_for_parameters, weights.shared_in_forward],
    *[weights.own_gradient, weights.derived, weights.dynamic, weights.made_at_first_call],
    *[branches.by_size, branches.view_minus_one, branches.fixed_size, branches.by_batch],
    *[branches.by_mode, branches.in_training, branches.after_failure],
    *[positions.coordinates, positions.coordinates, positions.learned_table],
    *[positions.border_count, positions.zero_padded_constant, positions.noise],
    *[positions.checkerboard, positions.embedded, positions.two_images, positions.wraps],
    *[outputs.objects, outputs.own_call, outputs.hooked, outputs.decorated, outputs.words],
    *[outputs.nothing, outputs.no_image, heads.sequences, outputs.ranks, outputs.control],
    *[outputs.tokens, heads.classifier, heads.windowed, heads.pyramid, heads.recurrent_rows],
    *[heads.nothing_returned, heads.other_width, silent.cancels, silent.cancels],
    *[silent.side_by_side, silent.turned, silent.phases, silent.small_branch, silent.by_class],
)
"""One function for each way in which models are out of the ordinary."""

LENGTHS = {1: (40,), 2: (32, 24), 3: (18, 14, 12)}
MOST_VALUES = 12_000
MOST_CHANNELS = 12


def draw(seed: int) -> Case:
    """The case of a seed: an idiom or a graph of one to four steps."""
    r = Random(seed)
    if r.random() < 0.45:
        return r.choice(IDIOMS)(r)
    return random_graph(r)


def random_graph(r: Random) -> Case:
    """Steps one after the other; those that do not fit what reaches them are left out."""
    n = r.choice([1, 2, 2, 2, 2, 3])
    shape = (1, r.randint(1, 4), *LENGTHS[n])
    kinds = TILED if r.random() < 0.5 else (*TILED, *OTHERS, *OTHERS)
    chosen: list[tuple[MakeStep, int, int]] = []
    x = torch.rand(shape, dtype=DTYPE)
    wanted, is_regular = r.randint(1, 4), True
    for _ in range(20):
        if len(chosen) == wanted:
            break
        make, seed = r.choice(kinds), r.randrange(2**31)
        if (make in ONLY_2D and n != 2) or (make in ONLY_3D and n != 3):
            continue
        step = (make, seed, x.shape[1])
        y = _try(step, n, x)
        if y is not None:
            chosen.append(step)
            # Half of an odd length, resized to that, is no resizing by two at any place.
            is_regular &= make is not window.to_size_of_input or all(
                m % 2 == 0 for m in x.shape[2:]
            )
            x = y
    steps = tuple(chosen)
    return Case(
        kind=" > ".join(make.__name__ for make, _, _ in steps) or "nothing",
        make=lambda: nn.Sequential(*[_build(step, n) for step in steps]),
        shapes=(shape,),
        tiles=bool(steps) and is_regular and all(make in TILED for make, _, _ in steps),
        may_refuse=not steps,
    )


def _build(step: tuple[MakeStep, int, int], n: int) -> nn.Module:
    make, seed, channels_in = step
    return make(Random(seed), channels_in, n)


def _try(step: tuple[MakeStep, int, int], n: int, x: torch.Tensor) -> torch.Tensor | None:
    """What a step makes of a map; None if it does not take it, or makes no small map of it."""
    try:
        with torch.no_grad(), torch.random.fork_rng():
            y = _build(step, n)(x)
    except (RuntimeError, ValueError, IndexError, AssertionError):
        return None
    is_map = y.ndim == n + 2 and y.shape[0] == 1 and min(y.shape[2:]) >= 5
    fits = is_map and y.shape[1] <= MOST_CHANNELS and y.numel() <= MOST_VALUES
    return y if fits and y.dtype == DTYPE else None


def idiom_cases(seeds: Sequence[int]) -> list[Case]:
    """Every idiom once for each seed."""
    return [idiom(Random(seed)) for seed in seeds for idiom in IDIOMS]
