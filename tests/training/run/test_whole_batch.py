"""A batch in parts, or over processes, gives the update of the whole batch, by every loss."""

import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.training.losses.catalog import LOSSES
from atrous.training.recipe.file import recipe_text
from atrous.training.run.open import open_run

PLAIN = {
    "scale": (1.0, 1.0),
    "brightness": 0.0,
    "ema": None,
    "clip": None,
    "freeze_batch_norm": True,  # batch norms see parts
    "optimiser": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": "constant",
    "learning_rate": 0.1,
    "batch_size": 4,
    "epochs": 2,
}


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """Pictures of shapes, three of four labelled in a few pixels only."""
    root = tmp_path_factory.mktemp("partly")
    write_mask_folder(root / "train", num_images=8, size=(32, 48), seed=0)
    write_mask_folder(root / "val", num_images=2, size=(32, 48), seed=1)
    for index, path in enumerate(sorted((root / "train/masks").iterdir())):
        if index % 4:
            mask = np.array(Image.open(path))
            kept = np.full_like(mask, 255)
            kept[10:14, 20:26] = mask[10:14, 20:26]
            Image.fromarray(kept).save(path)
    return root


def weights_after(recipe, folder, *, num_steps):
    run = open_run(recipe, folder, Accelerator(cpu=True))
    before = flat(run.state.network)
    for _ in islice(run.steps(), num_steps):
        pass
    return flat(run.state.network) - before


def flat(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


WEIGHING = {"boundary", "cross_entropy", "focal", "ohem"}


@pytest.mark.parametrize("loss", LOSSES)
def test_three_updates_in_parts_are_those_of_the_whole(recipe, partly, tmp_path, loss):
    recipe = replace(
        recipe,
        **PLAIN,
        data=(str(partly),),
        losses={loss: 1.0},
        class_weights="enet" if loss in WEIGHING else "none",
    )
    whole = weights_after(recipe, tmp_path / "1", num_steps=3)
    assert whole.norm() > 1e-3
    for parts in (2, 3, 4):  # three parts of four samples are not alike
        found = weights_after(replace(recipe, accumulate=parts), tmp_path / str(parts), num_steps=3)
        assert (found - whole).norm() < 1e-4 * whole.norm()


def test_dropout_drops_alike_in_both_passes(recipe):
    from atrous.training.batches import Batch
    from atrous.training.in_parts import learn_in_parts
    from atrous.training.objective import objective_of

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Conv2d(3, 4, 1))
    images, masks = torch.rand(4, 3, 8, 8), torch.randint(0, 4, (4, 8, 8))
    seen = []

    class Trainee:
        accelerator = Accelerator(cpu=True)
        buffers: tuple[torch.Tensor, ...] = ()

        def held(self):
            return torch.enable_grad() if torch.is_grad_enabled() else torch.no_grad()

        def __call__(self, x):
            outputs = network(x)
            seen.append(outputs.detach())
            return (outputs,)

    objective = objective_of(recipe, "segmentation", num_classes=4, class_weights=None)
    batch = Batch(images, masks, None, tuple("abcd"))
    learn_in_parts(Trainee(), batch, objective, num_parts=2, check=lambda _: None)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


SCRIPT = """
import sys, tomllib
from itertools import islice
from pathlib import Path
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from atrous.training.recipe.file import recipe_of
from atrous.training.run.open import open_run

accelerator = Accelerator(cpu=True)
for loss in sys.argv[2:]:
    text = Path(sys.argv[1]).read_text().replace("LOSS", loss)
    run = open_run(recipe_of(tomllib.loads(text), where="text"), Path(loss), accelerator)
    for _ in islice(run.steps(), 3):
        pass
    if accelerator.is_main_process:
        tensors = {n: p.detach().contiguous() for n, p in run.state.network.named_parameters()}
        save_file(tensors, f"{loss}.safetensors")
    accelerator.free_memory()
accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_give_the_updates_of_one(recipe, partly, tmp_path):
    recipe = replace(recipe, **PLAIN, data=(str(partly),), losses={"LOSS": 1.0})
    recipe = replace(recipe, class_weights="none")
    text = recipe_text(recipe)
    (tmp_path / "recipe.toml").write_text(text)
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(
        (sys.executable, *launch, "script.py", "recipe.toml", *LOSSES),
        cwd=tmp_path,
        check=True,
        timeout=600,
    )
    for loss in LOSSES:
        one = open_run(
            replace(recipe, losses={loss: 1.0}), tmp_path / f"one-{loss}", Accelerator(cpu=True)
        )
        start = flat(one.state.network)
        for _ in islice(one.steps(), 3):
            pass
        expected = flat(one.state.network)
        tensors = load_file(tmp_path / f"{loss}.safetensors")
        found = torch.cat([tensors[n].flatten() for n, _ in one.state.network.named_parameters()])
        assert (found - expected).norm() < 1e-4 * (expected - start).norm(), loss
