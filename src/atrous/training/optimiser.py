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
        return torch.optim.SGD(
            groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True
        )
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=betas, fused=True)
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its own rate times a factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def frozen_norms(network: nn.Module, recipe: Recipe) -> list[nn.Module]:
    """The batch norms whose statistics a recipe keeps.

    They are all, those of the names that `freeze_batch_norm` lists, and those of frozen parts.
    """
    chosen = recipe.freeze_batch_norm
    starts = ("",) if chosen is True else (chosen or ())
    return [
        module
        for name, module in batch_norms(network)
        if name.startswith(starts) or _factor(f"{name}.weight", recipe) == 0
    ]


def batch_norms(network: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """All batch norms of a network, with their names."""
    kind = nn.modules.batchnorm._BatchNorm  # torch has no other name for all of them
    return ((name, module) for name, module in network.named_modules() if isinstance(module, kind))


def learning_note(network: nn.Module, recipe: Recipe) -> str | None:
    """What of a network moves, part by part, where a recipe keeps something of it as it is."""
    num_norms = len(list(batch_norms(network)))
    frozen = len(frozen_norms(network, recipe))
    if not frozen and all(recipe.learning_rate_factors.values()):
        return None
    counts: dict[str, list[int]] = {}
    for name, parameter in network.named_parameters():
        count = counts.setdefault(name.partition(".")[0], [0, 0])
        count[0] += parameter.numel() if _factor(name, recipe) > 0 else 0
        count[1] += parameter.numel()
    parts = [f"{moving:,} of {total:,} of {part}" for part, (moving, total) in counts.items()]
    return (
        f"numbers that learn: {', '.join(parts)}; statistics kept of {frozen} of {num_norms} "
        "batch norms"
    )


def _factor(name: str, recipe: Recipe) -> float:
    """Of the longest key that the name starts with; 1 if there is none."""
    starts = [start for start in recipe.learning_rate_factors if name.startswith(start)]
    return recipe.learning_rate_factors[max(starts, key=len)] if starts else 1.0
