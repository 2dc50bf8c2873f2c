"""What a network starts from: trained weights, all of them or those that fit."""

import logging
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from atrous.errors import DataError
from atrous.networks.convert.inflate import inflate
from atrous.networks.weights import load_weights
from atrous.training.recipe.recipe import Inflate

logger = logging.getLogger(__name__)

_WRAPPER = "segmenter."
"""Joint networks keep under this name what a segmenter alone keeps without it."""


def start_from(
    network: nn.Module, path: Path, *, replace_head: bool, inflation: Inflate = "none"
) -> tuple[str, ...]:
    """Give a network the tensors of a weights file, by name.

    Args:
        network: Changed in place.
        path: A file that `save_weights` wrote.
        replace_head: Take what fits by name and shape, and leave the rest of the network as it is.
        inflation: Make kernels of images kernels of volumes first, where the network has such.

    Returns:
        Names of the network's tensors that start anew.

    Raises:
        DataError: If the file cannot be read; if a tensor does not fit, without `replace_head`; or
            if none fits with it.
    """
    given = load_weights(path).network.state_dict()
    wanted = network.state_dict()
    if inflation != "none":
        given = _inflated(given, network, filling=inflation)
    if not replace_head:
        wrong = [
            *(f"{name} is missing" for name in wanted.keys() - given.keys()),
            *(f"{name} is not wanted" for name in given.keys() - wanted.keys()),
            *(
                f"{name} is {tuple(given[name].shape)}, expected {tuple(wanted[name].shape)}"
                for name in wanted.keys() & given.keys()
                if given[name].shape != wanted[name].shape
            ),
        ]
        if wrong:
            raise DataError(
                f"{path} does not fit the recipe's network: {sorted(wrong)[0]}, and "
                f"{len(wrong) - 1} more; set replace_head = true to take what fits."
            )
        network.load_state_dict(given)
        return ()
    fitting = _by_name(given, wanted)
    if not any(tensor.is_floating_point() for tensor in fitting.values()):
        raise DataError(
            f"{path}: none of its tensors fits the recipe's network by name and shape; expected "
            "weights of the same encoder; name another file."
        )
    network.load_state_dict(fitting, strict=False)
    anew = tuple(name for name in wanted if name not in fitting)
    logger.info(
        "%d of %d tensors are those of %s, %d start anew",
        len(fitting), len(wanted), path, len(anew),
    )  # fmt: skip
    return anew


def _inflated(
    given: dict[str, Tensor], network: nn.Module, *, filling: Literal["mean", "centre"]
) -> dict[str, Tensor]:
    """The tensors whose kernels lack nothing but a depth, with that depth; the others as they are.

    Raises:
        DataError: If there is none: the weights are not of images, or not of such a network.
    """
    wanted = network.state_dict()
    flat = {
        name: tensor
        for name, tensor in given.items()
        if name in wanted and tensor.ndim == 4 and _lacks_depth(tensor.shape, wanted[name].shape)
    }
    if not flat:
        raise DataError(
            f"inflate is {filling!r}, but none of the weights is a kernel of images that the "
            "recipe's network has for volumes; expected weights of the same network or encoder "
            'built for images; name others, or set inflate to "none".'
        )
    return given | inflate(flat, network, filling=filling, strict=False)


def _lacks_depth(flat: torch.Size, deep: torch.Size) -> bool:
    return len(deep) == 5 and tuple(flat) == (*deep[:2], *deep[3:])


def _by_name(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    fitting = {}
    for name, tensor in wanted.items():
        source = given.get(name, given.get(name.removeprefix(_WRAPPER)))
        if source is not None and source.shape == tensor.shape:
            fitting[name] = source
    return fitting
