"""A batch in parts, or over processes, gives the update of the whole batch, by every loss."""

import subprocess
import sys
from dataclasses import replace
from itertools import islice

import nibabel
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.training.losses.catalog import LOSSES, USE_CLASS_WEIGHTS
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


WEIGHED = {
    f"{loss}, weights {name}": {"losses": {loss: 1.0}, "class_weights": name}
    for loss in sorted(USE_CLASS_WEIGHTS)
    for name in ("enet", "espnet")
}
ALONE = {loss: {"losses": {loss: 1.0}} for loss in LOSSES}
TOGETHER = {
    "cross_entropy + lovasz, weights": {
        "losses": {"cross_entropy": 1.0, "lovasz": 0.5},
        "class_weights": "enet",
    },
    "cross_entropy smoothed": {"losses": {"cross_entropy": 1.0}, "label_smoothing": 0.1},
    "all, weights": {"losses": dict.fromkeys(LOSSES, 0.5), "class_weights": "enet"},
}
OF_VOLUMES = {
    "region_dice": {"losses": {"region_dice": 1.0}},
    "region_dice + cross_entropy, weights": {
        "losses": {"region_dice": 1.0, "cross_entropy": 1.0},
        "class_weights": "enet",
    },
    "region_dice + dice": {"losses": {"region_dice": 1.0, "dice": 1.0}},
}
CASES = {**ALONE, **WEIGHED, **TOGETHER, **OF_VOLUMES}
REGIONS = {"whole": ("ball", "core"), "core": ("core",)}
NO_CHOICES = {"class_weights": "none", "label_smoothing": 0.0}


@pytest.fixture(scope="module")
def partly_balls(tmp_path_factory, make_balls):
    """Volumes, three of four labelled in a few voxels only."""
    root = tmp_path_factory.mktemp("partly_balls")
    make_balls(root / "train", num_volumes=4, seed=0)
    make_balls(root / "val", num_volumes=1, seed=1)
    for path in sorted((root / "train/labels").iterdir())[1:]:
        file = nibabel.load(path)
        mask = np.asarray(file.dataobj).astype(np.uint8)
        kept = np.full_like(mask, 255)
        kept[5:9, 5:8, 6:10] = mask[5:9, 5:8, 6:10]
        nibabel.save(nibabel.Nifti1Image(kept, file.affine), path)
    return root


@pytest.fixture(params=CASES)
def case(request, recipe, volume_recipe, partly, partly_balls):
    return recipe_of_case(request.param, recipe, volume_recipe, partly, partly_balls)


def recipe_of_case(name, recipe, volume_recipe, partly, partly_balls):
    chosen = {**NO_CHOICES, **CASES[name]}
    if name not in OF_VOLUMES:
        return replace(recipe, **PLAIN, data=(str(partly),), **chosen)
    return replace(volume_recipe, **PLAIN, regions=REGIONS, data=(str(partly_balls),), **chosen)


def test_three_updates_in_parts_are_those_of_the_whole(case, tmp_path):
    whole = weights_after(case, tmp_path / "1", num_steps=3)
    assert whole.norm() > 1e-3
    for parts in (2, 4):
        found = weights_after(replace(case, accumulate=parts), tmp_path / str(parts), num_steps=3)
        assert (found - whole).norm() < 1e-4 * whole.norm()


def test_parts_need_not_be_alike(recipe, partly, tmp_path):
    case = replace(recipe, **PLAIN, data=(str(partly),), **TOGETHER["all, weights"])
    whole = weights_after(case, tmp_path / "1", num_steps=3)
    found = weights_after(replace(case, accumulate=3), tmp_path / "3", num_steps=3)
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
from accelerate import Accelerator
from safetensors.torch import save_file
from atrous.training.recipe.file import recipe_of
from atrous.training.run.open import open_run

accelerator = Accelerator(cpu=True)
for file in sorted(Path().glob("*.toml")):
    recipe = recipe_of(tomllib.loads(file.read_text()), where="text")
    run = open_run(recipe, Path(file.stem), accelerator)
    for _ in islice(run.steps(), 3):
        pass
    if accelerator.is_main_process:
        tensors = {n: p.detach().contiguous() for n, p in run.state.network.named_parameters()}
        save_file(tensors, f"{file.stem}.safetensors")
    accelerator.free_memory()
accelerator.end_training()
"""


def differences_of_two_processes(recipes, folder):
    """By name, how much three updates of two processes differ from those of one."""
    for index, recipe in enumerate(recipes.values()):
        (folder / f"{index:02d}.toml").write_text(recipe_text(recipe))
    (folder / "script.py").write_text(SCRIPT)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = (sys.executable, *launch, "script.py")
    subprocess.run(command, cwd=folder, check=True, timeout=600)
    found = {}
    for index, (name, recipe) in enumerate(recipes.items()):
        one = open_run(recipe, folder / f"one-{index}", Accelerator(cpu=True))
        start = flat(one.state.network)
        for _ in islice(one.steps(), 3):
            pass
        expected = flat(one.state.network)
        tensors = load_file(folder / f"{index:02d}.safetensors")
        two = torch.cat([tensors[n].flatten() for n, _ in one.state.network.named_parameters()])
        found[name] = float((two - expected).norm() / (expected - start).norm())
    return found


@pytest.mark.slow
def test_two_processes_give_the_updates_of_one(
    recipe, volume_recipe, partly, partly_balls, tmp_path
):
    recipes = {
        name: recipe_of_case(name, recipe, volume_recipe, partly, partly_balls)
        for name in (*ALONE, *OF_VOLUMES, "all, weights")
    }
    found = differences_of_two_processes(recipes, tmp_path)
    assert max(found.values()) < 1e-4, found
