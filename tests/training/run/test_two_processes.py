"""Two processes learn what one learns from the same batches, and count every sample once."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from atrous.training.recipe.file import recipe_text
from atrous.training.run.open import open_run

SCRIPT = """
import json, sys, tomllib
from itertools import islice
from pathlib import Path
import torch
from accelerate import Accelerator
from atrous.training.recipe.file import recipe_of
from atrous.training.run.open import open_run

recipe, folder = Path(sys.argv[1]), Path(sys.argv[2])
accelerator = Accelerator(cpu=True)
run = open_run(recipe_of(tomllib.loads(recipe.read_text()), where="text"), folder, accelerator)
losses = []
for progress in islice(run.steps(), 20):
    mine = torch.tensor(progress.step.losses["total"], dtype=torch.float64)
    losses.append(float(accelerator.reduce(mine, reduction="mean")))
if accelerator.is_main_process:
    (folder / "losses.json").write_text(json.dumps(losses))
accelerator.end_training()
"""


@pytest.mark.real  # it needs no data, but half a minute of two cores
def test_losses_and_scores_are_those_of_one_process(recipe, tmp_path):
    recipe = replace(
        recipe,
        batch_size=4,
        epochs=10,
        scale=(1.0, 1.0),  # no padding: every process's part has as many labelled pixels
        freeze_batch_norm=True,  # batch statistics are of each process's part
        class_weights="none",
        evaluate_every=5,
    )
    run = open_run(recipe, tmp_path / "one", Accelerator(cpu=True))
    one = [progress.step.losses["total"] for progress in run.steps()]

    (tmp_path / "recipe.toml").write_text(recipe_text(recipe))
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(
        (sys.executable, *launch, "script.py", "recipe.toml", "two"),
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    two = json.loads((tmp_path / "two/losses.json").read_text())
    assert len(one) == len(two) == 20
    assert two == pytest.approx(one, rel=1e-4)

    def records(folder: Path) -> list[dict[str, object]]:
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    first = [record["scores"] for record in records(tmp_path / "one")]
    second = [record["scores"] for record in records(tmp_path / "two")]
    for alone, shared in zip(first, second, strict=True):
        assert shared == pytest.approx(alone, abs=0.1)  # of weights that differ by rounding


def test_counts_of_shared_samples_add_up_exactly(recipe, tmp_path):
    from torch import zeros_like

    from atrous.evaluation.masks import evaluate
    from atrous.training.validate import predict_masks

    run = open_run(recipe, tmp_path, Accelerator(cpu=True))

    def predict(images):
        return predict_masks(run.state.network, list(images), run.card, device="cpu")

    def count(indices):
        counts = [
            sample.matrix
            for sample in evaluate(
                predict, run.data.val, class_names=run.card.class_names, indices=indices
            )
        ]
        return sum(counts, start=zeros_like(counts[0]))

    whole = count(None)
    parts = [count(range(rank, len(run.data.val), 3)) for rank in range(3)]
    assert (sum(parts[1:], start=parts[0]) == whole).all()
