"""Which inputs a stack of dilated convolutions really reads: gridding, and the rule against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, prod

from atrous.arithmetic.axis import LayerAxis
from atrous.arithmetic.chain import MAX_READS, check_chain, extent
from atrous.arithmetic.conv import ConvSpec
from atrous.arithmetic.dense import FlattenSpec, LinearSpec
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.settings import whole
from atrous.errors import ShapeError
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The inputs that one output position of a chain reads, per axis.

    Layers are separable in position, so the count of an n-dimensional position is the product of
    the counts of its coordinates, and it is read if each of these is.
    """

    counts: tuple[Mapping[int, int], ...]
    """Per axis: how many paths lead from the output to a position, for those that are read.
    Borders are not clipped, so positions are negative inside the padding."""

    @property
    def start(self) -> Size:
        """First position that is read, per axis."""
        return tuple(min(counts) for counts in self.counts)

    @property
    def size(self) -> Size:
        """Positions from the first to the last that is read, per axis."""
        return tuple(max(counts) - min(counts) + 1 for counts in self.counts)

    @property
    def num_read(self) -> Size:
        """Positions that are read, per axis."""
        return tuple(len(counts) for counts in self.counts)

    @property
    def share(self) -> Fraction:
        """Part of the receptive field (area, volume) that is read; 1 if there are no holes."""
        return Fraction(prod(self.num_read), prod(self.size))


def coverage(layers: Sequence[LayerSpec]) -> Coverage:
    """The inputs that output 0 reads; behind a step up, those of the phase that sees farthest.

    Raises:
        ShapeError: If the layers do not fit together, if no output reads any input, or if there
            are too many taps to follow one by one.

    Example:
        Equal dilations leave holes that no depth fills: 7 of 13 positions along an axis, 29% of
        the square.

        >>> holes = coverage(dilated_stack([2, 2, 2]))
        >>> holes.size, holes.num_read, round(float(holes.share), 2)
        ((13, 13), (7, 7), 0.29)
        >>> coverage(dilated_stack([1, 2, 3])).share
        Fraction(1, 1)
    """
    check_chain(layers)
    if any(isinstance(layer, FlattenSpec | LinearSpec) for layer in layers):
        raise ShapeError(
            "The layers hold Flatten or Linear, behind which outputs have no positions; leave out "
            "these and what follows them."
        )
    chains = zip(*(layer.axes for layer in layers), strict=True)
    return Coverage(counts=tuple(_counts(axes) for axes in chains))


def dilated_stack(
    dilations: Sequence[int], *, kernel_size: int = 3, spatial_dims: int = 2
) -> tuple[ConvSpec, ...]:
    """One-channel convolutions of these dilations, first to last, at stride 1."""
    return tuple(
        ConvSpec(
            in_channels=1,
            out_channels=1,
            kernel_size=kernel_size,
            dilation=dilation,
            spatial_dims=spatial_dims,
        )
        for dilation in dilations
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HDCVerdict:
    """What hybrid dilated convolution says of a stack of dilations."""

    max_distances: tuple[int, ...]
    """M_1 to M_n, the largest distance between positions read, as the rule estimates it."""
    common_factor: int
    """Greatest common divisor of the dilations; holes are certain above 1."""
    passes: bool
    """Whether M_2 (M_1 of a single layer) is at most the kernel size and the factor is 1."""


def hybrid_dilation_rule(dilations: Sequence[int], *, kernel_size: int = 3) -> HDCVerdict:
    """Whether dilations, first layer to last, keep to the rule of hybrid dilated convolution.

    M_n = r_n and M_i = max(M_{i+1} - 2 r_i, M_{i+1} - 2 (M_{i+1} - r_i), r_i); asked is
    M_2 <= kernel size, and that the dilations share no factor. It is a rule of thumb: (2, 3)
    passes and yet leaves two holes, (3, 4, 1) fails and leaves none. `coverage` counts.

    Raises:
        ShapeError: If there are no dilations, or one is not a positive whole number.

    Example:
        >>> hybrid_dilation_rule([1, 2, 5]).passes
        True
        >>> hybrid_dilation_rule([1, 2, 9])
        HDCVerdict(max_distances=(3, 5, 9), common_factor=1, passes=False)

    Source: Wang et al., "Understanding Convolution for Semantic Segmentation", WACV 2018.
    """
    if not dilations:
        raise ShapeError(
            "There are no dilations to judge, but the rule needs one per layer; give at least one."
        )
    for dilation in dilations:
        whole("The stack", "dilation", dilation, minimum=1)
    whole("The stack", "kernel_size", kernel_size, minimum=1)
    distances = [dilations[-1]]
    for dilation in reversed(dilations[:-1]):
        after = distances[0]
        distances.insert(0, max(after - 2 * dilation, after - 2 * (after - dilation), dilation))
    second = distances[min(1, len(distances) - 1)]
    factor = gcd(*dilations)
    return HDCVerdict(
        max_distances=tuple(distances),
        common_factor=factor,
        passes=second <= kernel_size and factor == 1,
    )


def _counts(axes: Sequence[LayerAxis]) -> Mapping[int, int]:
    counts = {extent(axes).widest_output: 1}
    budget = MAX_READS
    for axis in reversed(axes):
        budget -= len(counts) * axis.kernel_size
        if budget < 0:
            raise ShapeError(
                f"More than {MAX_READS:,} taps would have to be counted, which is the limit; "
                "use smaller kernels or fewer layers."
            )
        earlier: dict[int, int] = {}
        for position, paths in counts.items():
            for read in axis.reads(position):
                earlier[read] = earlier.get(read, 0) + paths
        counts = earlier
    if not counts:
        raise ShapeError(
            "No output of these layers reads any input, because a later stride steps over every "
            "position that a transposed convolution fills; change the strides or kernels."
        )
    return dict(sorted(counts.items()))
