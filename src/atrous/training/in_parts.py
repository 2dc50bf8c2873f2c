"""The gradients of a batch that is run in parts, or by several processes, as if it were run whole.

Losses are no sums over samples: their means are over labelled pixels, their overlaps over the
batch, their hardest pixels those of all. So the outputs of all parts are computed first, without
what a backward pass needs; the loss of all of them together gives its slope at every output; and
each part runs once more, alike, to carry its slopes back.

Source: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021,
    section 3.2, for the two passes.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor

from atrous.training.batches import Batch
from atrous.training.objective import Objective, Outputs


class Trainee(Protocol):
    """A network in training, as parts of a batch see it."""

    @property
    def accelerator(self) -> Accelerator:
        """Whose processes share the batch."""
        ...

    @property
    def buffers(self) -> list[Tensor]:
        """Statistics and counters."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """While it lasts, processes do not exchange gradients."""
        ...

    def __call__(self, images: Tensor) -> Outputs:
        """Answers to `(B, C, *S)` images."""
        ...


def learn_in_parts(
    trainee: Trainee,
    batch: Batch,
    objective: Objective,
    *,
    num_parts: int,
    check: Callable[[Tensor], None],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add the gradients of the whole batch's loss to the network's parameters.

    Batch norms see parts, and dropout draws for each part: where there are such, it is not to the
    last digit what one pass would give.

    Args:
        trainee: The network.
        batch: This process's share, on its device.
        objective: What is made small.
        num_parts: That the share is run in.
        check: Raises if the loss is no number.

    Returns:
        The loss of the whole batch, over all processes, and its parts by name.
    """
    accelerator = trainee.accelerator
    parts = split(batch, num_parts)
    kept = [buffer.clone() for buffer in trainee.buffers]
    chances, answers = [], []
    with torch.no_grad(), trainee.held():
        for part in parts:
            chances.append(_Chance.now(accelerator.device))
            answers.append([output.float() for output in trainee(part.images)])
        for buffer, before in zip(trainee.buffers, kept, strict=True):
            buffer.copy_(before)  # statistics of batch norms move in the second pass, once
    outputs = [accelerator.gather(torch.cat(of_parts)) for of_parts in zip(*answers, strict=True)]
    leaves = tuple(output.detach().requires_grad_() for output in outputs)
    total, losses = objective(leaves, _gathered(batch, accelerator))
    check(total)
    slopes = torch.autograd.grad(total, leaves, allow_unused=True)
    start = accelerator.process_index * len(batch.images)
    for index, (part, chance) in enumerate(zip(parts, chances, strict=True)):
        chance.restore()
        is_last = index == len(parts) - 1
        end = start + len(part.images)
        with contextlib.nullcontext() if is_last else trainee.held():
            carried = [
                (output.float() * slope[start:end]).sum()
                for output, slope in zip(trainee(part.images), slopes, strict=True)
                if slope is not None
            ]
            # Data-parallel wrappers take the mean of the processes' gradients; this is a sum.
            accelerator.backward(accelerator.num_processes * torch.stack(carried).sum())
        start = end
    return total.detach(), losses


@dataclass(frozen=True, slots=True)
class _Chance:
    """Where the random numbers of a device stand, so that dropout drops alike in both passes."""

    cpu: Tensor
    device: torch.device
    gpu: Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> "_Chance":
        gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(torch.get_rng_state(), device, gpu)

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.gpu is not None:
            torch.cuda.set_rng_state(self.gpu, self.device)


def _gathered(batch: Batch, accelerator: Accelerator) -> Batch:
    """Truth of the whole batch, over all processes; its images are not needed any more."""
    masks, labels = (
        None if truth is None else accelerator.gather(truth)
        for truth in (batch.masks, batch.labels)
    )
    return Batch(batch.images, masks, labels, batch.names)


def split(batch: Batch, num_parts: int) -> list[Batch]:
    """Parts of a batch, of as many samples but for the last."""
    if num_parts == 1:
        return [batch]
    count = len(batch.images)
    length = -(-count // num_parts)
    return [
        Batch(
            batch.images[start : start + length],
            None if batch.masks is None else batch.masks[start : start + length],
            None if batch.labels is None else batch.labels[start : start + length],
            batch.names[start : start + length],
        )
        for start in range(0, count, length)
    ]
