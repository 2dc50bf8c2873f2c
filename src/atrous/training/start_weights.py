"""What a network starts from: trained weights, all of them or those that fit."""

import logging
from pathlib import Path

from torch import Tensor, nn

from atrous.errors import DataError
from atrous.networks.weights import load_weights

logger = logging.getLogger(__name__)

_WRAPPER = "segmenter."
"""Joint networks keep under this name what a segmenter alone keeps without it."""


def start_from(network: nn.Module, path: Path, *, replace_head: bool) -> tuple[str, ...]:
    """Give a network the tensors of a weights file, by name.

    Args:
        network: Changed in place.
        path: A file that `save_weights` wrote.
        replace_head: Take what fits by name and shape, and leave the rest of the network as it is.

    Returns:
        Names of the network's tensors that start anew.

    Raises:
        DataError: If the file cannot be read; if a tensor does not fit, without `replace_head`; or
            if none fits with it.
    """
    given = load_weights(path).network.state_dict()
    wanted = network.state_dict()
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


def _by_name(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    fitting = {}
    for name, tensor in wanted.items():
        source = given.get(name, given.get(name.removeprefix(_WRAPPER)))
        if source is not None and source.shape == tensor.shape:
            fitting[name] = source
    return fitting
