"""Measure a network of volumes while it is trained: Dice of whole volumes, case by case.

It is measured on the prepared grid, cropped and resampled as training sees it; where that is not
the files' own, `atrous evaluate` gives the score of record.
"""

from collections.abc import Mapping, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from atrous.blocks.likeliest import likeliest
from atrous.networks.card import Card
from atrous.training.volume_cache import VolumeCache
from atrous.types import UNLABELLED


def dice_of_case(truth: Tensor, said: Tensor, members: Sequence[int]) -> float:
    """2 |A ∩ B| / (|A| + |B|) of the voxels of some classes; 1 where neither has any.

    Args:
        truth: `(D, H, W)` class indices; 255 where unlabelled, which is left out.
        said: The same of the prediction.
        members: The classes that are taken together.

    Example:
        >>> truth, said = torch.tensor([[[0, 1, 1, 2]]]), torch.tensor([[[0, 1, 2, 2]]])
        >>> dice_of_case(truth, said, [1]), dice_of_case(truth, said, [1, 2])
        (0.6666666666666666, 1.0)
    """
    classes = torch.tensor(list(members))
    is_labelled = truth != UNLABELLED
    ours = torch.isin(said, classes.to(said)) & is_labelled
    theirs = torch.isin(truth, classes.to(truth)) & is_labelled
    total = int(ours.sum()) + int(theirs.sum())
    return 2 * int((ours & theirs).sum()) / total if total else 1.0


def scored_parts(
    class_names: Sequence[str], regions: Mapping[str, tuple[int, ...]]
) -> Mapping[str, tuple[int, ...]]:
    """What is scored, by name: the regions, or where there are none all classes but the first.

    Example:
        >>> scored_parts(("background", "anterior", "posterior"), {})
        {'anterior': (1,), 'posterior': (2,)}
    """
    return regions or {name: (index,) for index, name in enumerate(class_names) if index}


def validate_volumes(
    network: nn.Module,
    volumes: VolumeCache,
    card: Card,
    *,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Mean Dice over all cases in percent: `dice`, the mean of all parts, and `dice_NAME` of each.

    Args:
        network: In evaluation mode, without gradients.
        volumes: Prepared; each goes through the network whole.
        card: For the classes, and the regions that are scored instead of them.
        accelerator: Whose processes share the cases, and whose device runs them.
    """
    parts = scored_parts(card.class_names, card.volume.regions if card.volume else {})
    sums = torch.zeros(len(parts), dtype=torch.float64)
    for index in range(accelerator.process_index, len(volumes), accelerator.num_processes):
        image, mask = volumes[index].tensors()
        said = predict_volume(network, image, device=accelerator.device)
        sums += torch.tensor(
            [dice_of_case(mask, said, members) for members in parts.values()], dtype=torch.float64
        )
    total: Tensor = accelerator.reduce(sums.to(accelerator.device), reduction="sum")
    means = (100 * total.cpu() / len(volumes)).tolist()
    by_part = {f"dice_{name}": mean for name, mean in zip(parts, means, strict=True)}
    return {"dice": sum(means) / len(means), **by_part}


def predict_volume(network: nn.Module, image: Tensor, *, device: torch.device) -> Tensor:
    """Class indices `(D, H, W)` uint8 of a prepared volume `(C, D, H, W)`."""
    x = image[None].to(device).contiguous(memory_format=torch.channels_last_3d)
    labels: Tensor = likeliest(network(x)[0])
    return labels.to(torch.uint8).cpu()
