"""The pictures of a run: curves after every record, sample predictions now and then."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous.training.run.run import Run

NUM_SAMPLES = 6


def write_pictures(run: "Run", epoch: int) -> None:
    """Draw what the run has reached into its folder; of one process only.

    Args:
        run: Its weights are those after the epoch.
        epoch: The last one that was evaluated.
    """
    from atrous._files import make_folder, write_atomically, write_text
    from atrous.reports.training.curves import curves
    from atrous.reports.training.samples import sample_sheet

    write_text(run.folder.root / "curves.svg", curves(run.history))
    every = run.recipe.samples_every * run.recipe.evaluate_every
    is_due = epoch == run.recipe.epochs or (every and epoch % every == 0)
    if not is_due or run.card.task == "classification" or run.volumes is not None:
        return
    from atrous.training.validate import predict_masks

    samples = run.data.val.require("masks")
    count = min(NUM_SAMPLES, len(samples))
    chosen = [index * len(samples) // count for index in range(count)]
    pairs = [samples.rgb8_and_mask(index) for index in chosen]
    fed = [samples.pixels_and_mask(index)[0] for index in chosen]
    predicted = predict_masks(run.state.weights, fed, run.card, device=run.state.accelerator.device)
    sheet = sample_sheet(
        [
            (samples.names[index], image, truth.numpy(), mask.numpy())
            for index, (image, truth), mask in zip(chosen, pairs, predicted, strict=True)
        ],
        run.card,
    )
    make_folder(run.folder.root / "samples")
    with write_atomically(run.folder.root / "samples" / f"epoch-{epoch:04d}.png") as file:
        sheet.save(file, format="PNG")
