"""Parallel convolutions of growing kernels, added up: pyramidal refinement of few channels."""

from collections.abc import Sequence

from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, identity, relu
from atrous.types import SpatialDims

KERNEL_SIZES = (3, 5, 7, 9)


class KernelPyramid(nn.Module):
    """The sum of a map and of its convolutions by kernels of several lengths.

    ```
    x ──┬─ 3 ── norm ─┐
        ├─ 5 ── norm ─┤
        ├─ 7 ── norm ─┼─(+)── act
        ├─ 9 ── norm ─┤
        └─────────────┘
    ```

    The kernels are dense, so it is for few channels only: (3³ + 5³ + 7³ + 9³)C² weights in 3D.

    Args:
        channels: Channels in and out.
        kernel_sizes: Odd lengths along every axis, one a branch.
        norm: Builds the normalisation of each branch.
        act: Builds the activation of the sum.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to the same.

    Source: Mehta et al., "3D-ESPNet with Pyramidal Refinement for Volumetric Brain Tumor Image
        Segmentation", BrainLes 2018, from the authors' code.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_sizes: Sequence[int] = KERNEL_SIZES,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 3,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            ConvNormAct(
                channels, channels, size, norm=norm, act=identity, spatial_dims=spatial_dims
            )
            for size in kernel_sizes
        )
        self.act = act(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for branch in self.branches:
            y = y + branch(x)
        return self.act(y)
