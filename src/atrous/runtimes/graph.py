"""A network as it leaves: preprocessing and the choice of classes in its graph, if asked."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from atrous._argmax import argmax_classes
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.mask_resize import logits_to_masks
from atrous.networks.preprocessing.images import preprocess
from atrous.runtimes.words import first_line
from atrous.types import Size

Takes: TypeAlias = Literal["tensor", "pixels"]
"""`tensor`: what the network takes, `(B, C, *S)` float32, prepared by who calls. `pixels`: an image
of 8 bits, `(B, H, W, C)`, RGB where there are three channels."""
Gives: TypeAlias = Literal["logits", "classes"]
"""`logits`: what the network gives. `classes`: masks `(B, H, W)` uint8 of the image's own size, or
of a classifier the index of the likeliest class, `(B,)` int64; a network for both gives both."""

INPUT: Final = "image"
"""Name of the graph's input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a graph takes and gives, and at which sizes.

    Attributes:
        takes: A name of `Takes`.
        gives: A name of `Gives`.
        size: The one spatial size that it runs at; None for every size.
    """

    takes: Takes = "tensor"
    gives: Gives = "logits"
    size: Size | None = None

    def __post_init__(self) -> None:
        if self.takes not in get_args(Takes) or self.gives not in get_args(Gives):
            raise DataError(
                f"A graph that takes {self.takes!r} and gives {self.gives!r}; expected one of "
                f"{get_args(Takes)} and one of {get_args(Gives)}."
            )

    @property
    def with_parts(self) -> tuple[str, ...]:
        """What is in the graph besides the network, in the words of `atrous export --with`."""
        parts = ("preprocessing",) if self.takes == "pixels" else ()
        return (*parts, "argmax") if self.gives == "classes" else parts


class DeployedNetwork(nn.Module):
    """A network with its card's preprocessing before it and the choice of classes behind it.

    Args:
        network: In eval mode.
        card: Its card.
        signature: What of the two is in the graph.

    Shape:
        As `Takes` and `Gives` say; a network for masks and labels gives a pair.

    Raises:
        DataError: If the network takes volumes and the graph shall take pixels: scans are resampled
            by what their files say, which no graph sees.
    """

    def __init__(self, network: nn.Module, card: Card, signature: Signature) -> None:
        super().__init__()
        if card.volume is not None and signature.takes == "pixels":
            raise DataError(
                f"{card.name} takes scans, which are resampled by their headers; expected it to be "
                "exported without preprocessing; leave --with preprocessing out."
            )
        self.network = network
        self.card = card
        self.signature = signature

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """As the class says."""
        size = tuple(x.shape[2:])
        if self.signature.takes == "pixels":
            size = tuple(x.shape[1:-1])
            x = x.movedim(-1, 1).float().div(255)
            x = preprocess(x, self.card.preprocessing)
        output = self.network(x)
        if self.signature.gives == "logits":
            return tuple(output) if isinstance(output, tuple | list) else output
        if self.card.task == "classification":
            return argmax_classes(output, dim=1)
        masks, labels = (output, None) if isinstance(output, Tensor) else output
        masks = logits_to_masks(masks, size, resize=self.card.mask_resize)
        return masks if labels is None else (masks, argmax_classes(labels, dim=1))


def output_names(card: Card, signature: Signature) -> tuple[str, ...]:
    """Names of the graph's outputs, in order."""
    is_logits = signature.gives == "logits"
    if card.task == "classification":
        return ("logits",) if is_logits else ("label",)
    names = ("logits", "label_logits") if is_logits else ("mask", "label")
    return names if card.task == "joint" else names[:1]


def example_of(card: Card, signature: Signature) -> Tensor:
    """An input that the graph is made by: two samples, lengths that differ from each other."""
    channels = len(card.preprocessing.mean)
    if card.volume is not None:
        channels = len(card.volume.channel_names)
    size = signature.size or ((288, 352) if card.volume is None else (64, 80, 96))
    generator = torch.Generator().manual_seed(0)
    if signature.takes == "pixels":
        shape = (2, *size, channels)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return torch.rand(2, channels, *size, generator=generator)


def exported_program(
    deployed: DeployedNetwork, example: Tensor, *, is_free: bool, is_batch_free: bool = True
) -> torch.export.ExportedProgram:
    """The graph of a network, its batch and lengths free or as in the example.

    Args:
        deployed: In eval mode.
        example: As `example_of` gives it.
        is_free: Whether the graph must hold for other lengths.
        is_batch_free: Whether it must hold for other batches.

    Raises:
        DataError: If the network has no such graph; what torch says of it is named.
    """
    free = torch.export.Dim.AUTO
    spatial = (
        range(1, example.ndim - 1)
        if deployed.signature.takes == "pixels"
        else range(2, example.ndim)
    )
    axes = {
        **({0: free} if is_batch_free else {}),
        **(dict.fromkeys(spatial, free) if is_free else {}),
    }
    try:
        with torch.no_grad():
            program = torch.export.export(deployed.eval(), (example,), dynamic_shapes=(axes,))
    except Exception as error:  # torch raises errors of a dozen classes here
        raise DataError(
            f"{deployed.card.name} has no graph that holds for every size ({first_line(error)}); "
            "expected one; export it for one size by --size."
        ) from error
    fixed = _fixed_axes(program, axes, example)
    if fixed:
        raise DataError(
            f"{deployed.card.name} has a graph for {fixed} only; expected one for every size; "
            "export it for one size by --size."
        )
    return program


def _fixed_axes(
    program: torch.export.ExportedProgram, axes: dict[int, object], example: Tensor
) -> str:
    """Which axes that should be free came out fixed, in words."""
    (node,) = [
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    ]
    shape = node.meta["val"].shape
    names = [
        f"axis {axis} of {example.shape[axis]}" for axis in axes if isinstance(shape[axis], int)
    ]
    return ", ".join(names)
