"""Which parameters learn, and how fast: the recipe's optimiser over its groups."""

from collections.abc import Iterable

import torch
from torch import nn

from atrous.errors import UnknownNameError
from atrous.training.recipe.recipe import Recipe


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Groups by learning-rate factor and weight decay; frozen parameters are in none.

    Parameters whose factor is 0 stop requiring gradients. Weight decay is for tensors of two axes
    or more: pulling biases, slopes and the scales of norms to zero only hurts.

    Raises:
        UnknownNameError: If no parameter's name starts as a key of `learning_rate_factors`.
    """
    names = [name for name, _ in network.named_parameters()]
    for start in recipe.learning_rate_factors:
        if not any(name.startswith(start) for name in names):
            known = {name.partition(".")[0] for name in names}
            raise UnknownNameError("part of the network", start, known)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = _factor(name, recipe)
        parameter.requires_grad_(factor > 0)
        if factor > 0:
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": recipe.learning_rate * factor,
            "base_lr": recipe.learning_rate * factor,
            "weight_decay": decay,
        }
        for (factor, decay), parameters in groups.items()
    ]


def build_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser, torch's, of the recipe's name over the network's groups.

    Raises:
        UnknownNameError: As `parameter_groups`.
    """
    groups = parameter_groups(network, recipe)
    rate, betas = recipe.learning_rate, (recipe.momentum, 0.999)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=True, fused=True)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=betas, fused=True)
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its own rate times a factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def freeze_batch_norm(network: nn.Module) -> None:
    """Let batch norms use their running statistics, although the network is in training mode."""
    for module in batch_norms(network):
        module.eval()


def batch_norms(network: nn.Module) -> Iterable[nn.Module]:
    """All batch norms of a network."""
    kind = nn.modules.batchnorm._BatchNorm  # torch has no other name for all of them
    return (module for module in network.modules() if isinstance(module, kind))


def _factor(name: str, recipe: Recipe) -> float:
    """Of the longest key that the name starts with; 1 if there is none."""
    starts = [start for start in recipe.learning_rate_factors if name.startswith(start)]
    return recipe.learning_rate_factors[max(starts, key=len)] if starts else 1.0
