"""Nothing that the analysis says of a random model is wrong, and what is wrong would be seen.

A longer run by hand: `python -m tests.analysis.fuzz --graphs 10000 --seed 0`.
"""

import os
import resource
import warnings
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
import torch
from tests.analysis.fuzz import costs, oracle
from tests.analysis.fuzz.case import Case, Step
from tests.analysis.fuzz.graphs import IDIOMS, draw, random_graph
from tests.analysis.fuzz.tiles import tile_fault
from tests.analysis.fuzz.verdicts import judge
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous import analysis

GRAPHS = range(60)
SHARDS = 16


def faults(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [str(fault) for fault in judge(case)]


def some_slow(seeds, quick):
    """Seeds, of which those after the first few are left to the real tier."""
    return [
        pytest.param(s, marks=() if i < quick else pytest.mark.slow) for i, s in enumerate(seeds)
    ]


@pytest.mark.parametrize("seed", some_slow(GRAPHS, 24))
def test_nothing_said_of_a_random_graph_is_wrong(seed):
    case = random_graph(Random(seed))  # noqa: S311
    assert faults(case) == [], case.kind


@pytest.mark.parametrize("seed", some_slow([1, 2, 3], 1))
@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda idiom: idiom.__name__)
def test_nothing_said_of_a_model_out_of_the_ordinary_is_wrong(idiom, seed):
    case = idiom(Random(seed))  # noqa: S311
    assert faults(case) == [], case.kind


@pytest.mark.real
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_said_of_many_random_models_is_wrong(shard, search_seed):
    graphs = int(os.environ.get("ATROUS_FUZZ_GRAPHS", "640")) // SHARDS
    first = search_seed + shard * graphs
    print(f"seeds {first} to {first + graphs - 1}")  # noqa: T201 - to run the same again
    found = {seed: faults(draw(seed)) for seed in range(first, first + graphs)}
    assert {seed: wrong for seed, wrong in found.items() if wrong} == {}


@pytest.mark.slow
def test_a_map_whose_places_are_all_unlike_does_not_take_all_memory():
    """In 3D and enlarged for its halo it asked for 16 GB."""
    case = draw(7000446)
    assert faults(case) == []
    size, channels = case.shapes[0][2:], case.shapes[0][1]
    found = analysis.halo(case.make().eval(), size, in_channels=channels)
    assert [note.op for note in found.blockers] == ["a map too large to follow"]


def test_a_write_into_a_map_whose_places_are_unlike_is_looked_at_before_it_is_made():
    """A ring of three axes, enlarged for its halo: a dozen copies of it took 15 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    case = draw(50004263)
    size, channels = case.shapes[0][2:], case.shapes[0][1]
    found = analysis.halo(case.make(), size, in_channels=channels)
    assert {note.kind for note in found.blockers} >= {"wraps"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2_000_000  # kB


# What the oracle says of models whose truth is known by algebra.


def line(make, axis=0, **settings):
    return oracle.lines(Case(kind="", make=make, **settings))[axis]


def test_the_oracle_counts_the_holes_of_dilated_convolutions():
    """Taps at -2, 0, 2 of taps at -3, 0, 3: nine positions of eleven; 3x3 alone: 3 of 3."""
    found = line(
        lambda: nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=2, dilation=2), nn.Conv2d(3, 3, 3, padding=3, dilation=3)
        ).double()
    )
    assert (found.middle_size, found.counts) == (11, {9})
    assert (found.jump, found.start, found.centre) == (1, -5, 0)


def test_the_oracle_tells_the_phases_of_steps_up_and_of_odd_factors():
    """Kernel 3, stride 2, padding 1: outputs read one and two inputs in turn; nearest by 0.6
    reads floor(o / 0.6), which moves by five every three outputs.
    """
    up = line(lambda: nn.ConvTranspose2d(3, 3, 3, 2, 1).double())
    assert (up.middle_size, up.jump, up.start) == (2, Fraction(1, 2), 0)
    nearest = line(lambda: Step(lambda x: F.interpolate(x, scale_factor=0.6)))
    assert (nearest.middle_size, nearest.jump, nearest.start) == (1, Fraction(5, 3), 0)


def test_the_oracle_sees_through_maxima_masks_integers_and_writes():
    def written(x):
        y = torch.zeros_like(x)
        y[:, 0] = F.max_pool2d(x, 5, 1, 2)[:, 1]
        return (y > 2).long() * 3

    assert line(lambda: Step(written)).middle_size == 5
    taps = torch.tensor([1.0, 1, 0], dtype=torch.float64).view(1, 1, 3, 1).expand(3, 1, 3, 1)
    masked = line(lambda: Step(lambda x: F.conv2d(x, taps, padding=(1, 0), groups=3)))
    assert (masked.middle_size, masked.start) == (2, -1)


def test_the_oracle_sees_the_whole_input_behind_means_and_what_is_local_on_a_ring():
    whole = Case(kind="", make=lambda: Step(lambda x: x + x.flip(2)))
    assert not oracle.is_local(whole, 0, oracle.lines(whole)[0])
    ring = Case(
        kind="",
        make=lambda: nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular").double(),
    )
    found = oracle.lines(ring)[0]
    assert (found.size, found.middle_size) == (32, 3)
    assert oracle.is_local(ring, 0, found)
    batch = line(lambda: nn.BatchNorm2d(3).double().train())
    assert (batch.size, batch.middle_size) == (32, None)


def test_the_oracle_counts_products_by_hand_where_torch_does_not():
    """Two gates' matrices of 4 x 3 and 4 x 4 numbers, four gates, at each of 8 steps."""

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 4, batch_first=True).float()

        def forward(self, x):
            return self.rnn(x.float())[0]

    case = Case(kind="", make=Recurrent, shapes=((1, 8, 3),))
    assert costs.macs(case) in (8 * 4 * (4 * 3 + 4 * 4), 0)  # 0: split into counted products


def test_tiles_need_the_halo_that_algebra_gives():
    case = Case(
        kind="",
        make=lambda: nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1)
        ).double(),
    )
    assert tile_fault(case, (4, 4), (2, 2)) is None
    assert "differs" in tile_fault(case, (2, 2), (2, 2))
    assert "axis 1" in tile_fault(case, (4, 2), (2, 2))


# What the verdicts say of answers that are wrong by intent.

PLAIN = Case(
    kind="plain",
    make=lambda: nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 5, padding=2, stride=2)
    ).double(),
    tiles=True,
    counts=True,
)


def changed_field(**changes):
    real = analysis.receptive_field

    def wrong(*arguments, **keywords):
        seen = real(*arguments, **keywords)
        return replace(seen, field=replace(seen.field, **changes))

    return wrong


def test_a_right_answer_has_no_fault():
    assert faults(PLAIN) == []


@pytest.mark.parametrize(
    ("sort", "changes"),
    [
        ("field", {"size": (7, 9)}),
        ("field", {"size": (9, 7)}),
        ("field", {"size": (32, 24), "extent": ("whole", "whole")}),
        ("bound", {"size": (8, 7), "extent": ("cut", "cut")}),
        ("holes", {"seen": (7, 6)}),
        ("jump", {"jump": (2.0, 2.04)}),
        ("start", {"start": (-3.0, -2.0)}),
        ("centre", {"centre": (0.5, 0.0)}),
    ],
)
def test_a_wrong_field_is_found(monkeypatch, sort, changes):
    monkeypatch.setattr(analysis, "receptive_field", changed_field(**changes))
    assert {fault.partition(":")[0] for fault in faults(PLAIN)} == {sort}


def test_a_wrong_halo_a_wrong_count_and_a_traceback_are_found(monkeypatch):
    halo, profile = analysis.halo, analysis.profile
    monkeypatch.setattr(analysis, "halo", lambda *a, **k: replace(halo(*a, **k), pixels=(2, 2)))
    assert [fault.partition(":")[0] for fault in faults(PLAIN)] == ["halo"]
    none = (None, None)
    monkeypatch.setattr(analysis, "halo", lambda *a, **k: replace(halo(*a, **k), pixels=none))
    assert [fault.partition(":")[0] for fault in faults(PLAIN)] == ["no halo"]
    monkeypatch.setattr(analysis, "halo", halo)
    monkeypatch.setattr(analysis, "profile", lambda *a, **k: replace(profile(*a, **k), macs=1))
    assert [fault.partition(":")[0] for fault in faults(PLAIN)] == ["MACs"]

    def broken(*_, **__):
        raise KeyError("x")

    monkeypatch.setattr(analysis, "profile", broken)
    assert {fault.partition(":")[0] for fault in faults(PLAIN)} == {"traceback"}


def test_a_model_that_is_changed_is_found(monkeypatch):
    profile = analysis.profile

    def careless(model, *arguments, **keywords):
        model[0].weight.data += 1e-12
        model.note = ["left"]
        return profile(model, *arguments, **keywords)

    monkeypatch.setattr(analysis, "profile", careless)
    found = faults(PLAIN)
    assert any("note is new" in fault for fault in found)
    assert any(fault.startswith("outputs") for fault in found)
