"""A run goes on where it stood, to the bit; keeps what is whole; refuses what is not its own."""

import json
import math
import shutil
import zipfile
from dataclasses import replace
from itertools import islice

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.errors import AtrousError, DataError, UnknownNameError
from atrous.inference import load
from atrous.training.fit import NotFiniteError
from atrous.training.run.folder import RunFolder
from atrous.training.run.open import open_run
from atrous.training.validate import validate


def finish(recipe, folder, **changes):
    """A run that was trained to its end."""
    run = open_run(replace(recipe, **changes), folder, Accelerator(cpu=True))
    for _ in run.steps():
        pass
    return run


def begin(recipe, folder, *, steps=1):
    """A run that was stopped after some steps."""
    run = open_run(recipe, folder, Accelerator(cpu=True))
    for _ in islice(run.steps(), steps):
        pass
    run.save()
    return run


def weights_of(folder):
    return load_file(folder / "last.safetensors")


def assert_equal_bits(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("stops", [(1,), (4, 5), (3, 7, 11)])
def test_a_run_that_was_stopped_ends_with_the_same_bits(recipe, tmp_path, stops):
    finish(recipe, tmp_path / "whole")
    done = 0
    for stop in stops:
        run = open_run(recipe, tmp_path / "parts", Accelerator(cpu=True))
        assert run.state.step == done
        for _ in islice(run.steps(), stop - done):
            pass
        run.save()
        done = stop
    torch.manual_seed(1234)  # whatever happened in between
    finish(recipe, tmp_path / "parts")
    assert_equal_bits(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_steps_since_the_last_checkpoint_are_done_again_alike(recipe, tmp_path):
    finish(recipe, tmp_path / "whole")
    run = open_run(recipe, tmp_path / "killed", Accelerator(cpu=True))
    for _ in islice(run.steps(), 6):  # the last checkpoint is that of the epoch's end, step 4
        pass
    assert open_run(recipe, tmp_path / "killed", Accelerator(cpu=True)).state.step == 4
    finish(recipe, tmp_path / "killed")
    assert_equal_bits(weights_of(tmp_path / "whole"), weights_of(tmp_path / "killed"))
    lines = (tmp_path / "killed/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
def test_worker_processes_change_nothing(recipe, tmp_path):
    finish(recipe, tmp_path / "none")
    finish(recipe, tmp_path / "two", num_workers=2)
    assert_equal_bits(weights_of(tmp_path / "none"), weights_of(tmp_path / "two"))


@pytest.mark.parametrize("damage", ["cut off", "altered"])
def test_a_broken_newest_checkpoint_falls_back_to_the_one_before(recipe, tmp_path, damage, caplog):
    finish(recipe, tmp_path)
    older, newest = sorted((tmp_path / "checkpoints").iterdir())
    content = bytearray(newest.read_bytes())
    if damage == "altered":
        content[len(content) // 2] ^= 255
    newest.write_bytes(content[:-1000] if damage == "cut off" else content)
    run = open_run(recipe, tmp_path, Accelerator(cpu=True))
    assert run.state.step == 8 == int(older.stem.partition("-")[2])
    assert f"{newest.name} is not whole" in caplog.text


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_ones(recipe, tmp_path, monkeypatch):
    run = open_run(recipe, tmp_path, Accelerator(cpu=True))
    for _ in islice(run.steps(), 4):
        pass
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    for _ in islice(run.steps(), 1):
        pass
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        run.save()
    after = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    assert before == after


def test_the_kept_weights_predict_with_their_card(recipe, tmp_path, shapes):
    run = finish(recipe, tmp_path)
    predictor = load(tmp_path / "best.safetensors")
    prediction = predictor.predict(shapes / "val/images/0000.png")
    assert prediction.mask.shape == (32, 48)
    scores = {score.metric: score.value for score in predictor.card.scores}
    best = max(record["scores"]["miou"] for record in run.history)
    assert scores["miou"] == pytest.approx(best)
    assert predictor.card.class_names == recipe.class_names


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(recipe, tmp_path):
    plain = {"size": None, "scale": (1.0, 1.0), "flip": 0.0, "brightness": 0.0, "ema": None}
    changes = {"epochs": 200, "batch_size": 8, "learning_rate": 2e-2, "class_weights": "none"}
    run = open_run(
        replace(recipe, **plain, **changes, evaluate_every=200), tmp_path, Accelerator(cpu=True)
    )
    losses = [progress.step.losses["total"] for progress in run.steps()]
    assert losses[-1] < 0.1 < 1 < losses[0]
    seen = validate(
        run.state.network,
        run.data.train,
        run.card,
        protocol="void_ignored",
        accelerator=run.state.accelerator,
    )
    assert seen.scores["miou"] > 90


def test_another_recipe_is_refused_and_says_what_differs(recipe, tmp_path):
    finish(recipe, tmp_path, epochs=1)
    recipe = replace(recipe, epochs=1)
    with pytest.raises(DataError, match=r"learning_rate was 0\.002 and is 0\.1"):
        open_run(replace(recipe, learning_rate=0.1), tmp_path, Accelerator(cpu=True))
    other = replace(recipe, num_workers=1, checkpoint_minutes=1.0)
    open_run(other, tmp_path, Accelerator(cpu=True))  # these do not change what it gives


def test_overwrite_removes_the_run_and_nothing_else(recipe, tmp_path):
    finish(recipe, tmp_path / "run", epochs=1)
    mine = {"notes.txt", "holiday.png", "samples/mine.png", "drawing.svg"}
    (tmp_path / "run/samples").mkdir()
    for name in mine | {"samples/epoch-0001.png", "curves.svg"}:
        (tmp_path / "run" / name).write_text("mine")
    RunFolder(tmp_path / "run").clear()
    left = {path for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert left == {tmp_path / "run" / name for name in mine}
    with pytest.raises(DataError, match="holds files but no run"):
        open_run(recipe, tmp_path / "run", Accelerator(cpu=True), overwrite=True)
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


def test_data_that_has_changed_since_is_refused(recipe, tmp_path):
    data = write_mask_folder(tmp_path / "data/train", num_images=4, size=(32, 48))
    write_mask_folder(tmp_path / "data/val", num_images=2, size=(32, 48), seed=1)
    recipe = replace(recipe, data=(str(tmp_path / "data"),), epochs=1)
    finish(recipe, tmp_path / "run")
    (data / "images/0000.png").write_bytes((data / "images/0001.png").read_bytes())
    with pytest.raises(DataError, match="has changed since its run"):
        open_run(recipe, tmp_path / "run", Accelerator(cpu=True))


def test_a_loss_that_is_no_number_stops_and_keeps_the_batch(recipe, tmp_path):
    run = open_run(
        replace(recipe, learning_rate=1e9, clip=None, schedule="constant"),
        tmp_path,
        Accelerator(cpu=True),
    )
    with pytest.raises(NotFiniteError, match="lower learning_rate") as caught:
        for _ in run.steps():
            pass
    (kept,) = tmp_path.glob("not-finite-step-*.safetensors")
    assert load_file(kept)["images"].shape == caught.value.batch.images.shape


def test_a_factor_of_zero_freezes_and_other_factors_scale(recipe, tmp_path):
    changes = {"learning_rate_factors": {"encoder": 0.0}, "freeze_batch_norm": True}
    run = open_run(replace(recipe, **changes), tmp_path, Accelerator(cpu=True))
    before = {name: tensor.clone() for name, tensor in run.state.network.state_dict().items()}
    for _ in run.steps():
        pass
    after = run.state.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith("encoder") for name in changed)
    with pytest.raises(UnknownNameError, match="Did you mean 'encoder'"):
        open_run(
            replace(recipe, learning_rate_factors={"encodr": 0.1}),
            tmp_path / "other",
            Accelerator(cpu=True),
        )


def test_training_goes_on_from_weights_and_from_what_fits_of_them(recipe, tmp_path):
    finish(recipe, tmp_path / "first", epochs=1)
    given = str(tmp_path / "first/last.safetensors")
    run = open_run(replace(recipe, weights=given), tmp_path / "again", Accelerator(cpu=True))
    assert_equal_bits(load_file(given), dict(run.state.network.state_dict()))

    fewer = {"class_names": (), "num_classes": 5, "weights": given}
    with pytest.raises(DataError, match="set replace_head = true"):
        open_run(replace(recipe, **fewer), tmp_path / "strict", Accelerator(cpu=True))
    run = open_run(
        replace(recipe, **fewer, replace_head=True), tmp_path / "head", Accelerator(cpu=True)
    )
    taken = run.state.network.state_dict()
    for name, tensor in load_file(given).items():
        if name.startswith("encoder"):
            assert torch.equal(taken[name], tensor), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "bfloat16"}, "bfloat16 on a CPU"),
        ({"sync_batch_norm": True}, "sync_batch_norm is true on a CPU"),
        ({"auxiliary_weight": 0.4}, "no auxiliary heads"),
        ({"batch_size": 100}, "batch_size is 100"),
        ({"layout": "image_folder"}, "image_folder"),
        ({"val_split": "train"}, "validation images are training images too"),
        ({"losses": {"cross_entropi": 1.0}}, "Did you mean 'cross_entropy'"),
    ],
)
def test_what_cannot_be_trained_is_refused(recipe, tmp_path, changes, message):
    with pytest.raises((DataError, UnknownNameError, ValueError), match=message):
        open_run(replace(recipe, **changes), tmp_path, Accelerator(cpu=True))


def test_records_say_what_was_reached(recipe, tmp_path):
    run = finish(recipe, tmp_path, evaluate_every=2)
    assert [record["epoch"] for record in run.history] == [2, 3]
    for record in run.history:
        assert math.isfinite(record["losses"]["total"])
        assert 0 <= record["scores"]["miou"] <= 100


def rewritten(path, change):
    """An archive with other content of its pickle, and right checksums of its parts."""
    with zipfile.ZipFile(path) as archive:
        parts = [(part, archive.read(part)) for part in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for part, data in parts:
            archive.writestr(part, change(data) if part.filename.endswith("data.pkl") else data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:40] + b"\xff" * 8 + data[48:],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"exp_avg_sq", b"exp_avg_sr"),
    ],
    ids=["altered", "cut", "renamed"],
)
@pytest.mark.parametrize("is_marked", [True, False])
def test_a_checkpoint_altered_under_right_checksums_is_set_aside(
    recipe, tmp_path, caplog, change, is_marked
):
    finish(recipe, tmp_path / "whole")
    finish(recipe, tmp_path / "run")
    (older, newest) = sorted((tmp_path / "run/checkpoints").iterdir())
    if not is_marked:  # as earlier versions wrote them
        content = newest.read_bytes().replace(b"atrous_sha256", b"another_sha25")
        newest.write_bytes(content)
    rewritten(newest, change)
    run = open_run(recipe, tmp_path / "run", Accelerator(cpu=True))
    if run.state.step == 12:  # a name in the optimiser's state that nothing asks for
        assert not is_marked
        return
    assert run.state.step == 8 == int(older.stem.partition("-")[2])
    assert "set aside" in caplog.text
    assert (tmp_path / f"run/checkpoints/{newest.name}.damaged").is_file()
    finish(recipe, tmp_path / "run")
    assert_equal_bits(weights_of(tmp_path / "whole"), weights_of(tmp_path / "run"))


def test_without_any_whole_checkpoint_it_is_one_line(recipe, tmp_path):
    begin(recipe, tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="none is whole"):
        open_run(recipe, tmp_path, Accelerator(cpu=True))


@pytest.mark.parametrize(
    "ending", [b"\x80\xfe", b'{"epoch": 3', b"[1]\n", b'{"epoch": "3"}\n', b"[" * 10_000]
)
def test_damaged_metrics_are_set_aside_and_whole_lines_kept(recipe, tmp_path, caplog, ending):
    finish(recipe, tmp_path, epochs=2)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(before + ending)
    run = open_run(replace(recipe, epochs=2), tmp_path, Accelerator(cpu=True))
    assert run.history == [json.loads(line) for line in before.splitlines()]
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == before + ending
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert "2 of its 3 lines are whole" in caplog.text


@pytest.mark.parametrize("text", ["[1]", "{", "5", "[" * 100_000, "\udcff"])
def test_damaged_facts_are_set_aside_and_the_run_goes_on(recipe, tmp_path, caplog, text):
    finish(recipe, tmp_path / "whole")
    begin(recipe, tmp_path / "run", steps=4)
    (tmp_path / "run/run.json").write_bytes(text.encode(errors="surrogateescape"))
    finish(recipe, tmp_path / "run")
    assert "run.json is damaged" in caplog.text
    assert (tmp_path / "run/run.json.damaged").is_file()
    assert_equal_bits(weights_of(tmp_path / "whole"), weights_of(tmp_path / "run"))


def test_a_recipe_that_came_to_nothing_does_not_block_its_folder(recipe, tmp_path):
    refused = replace(recipe, schedule="plateau")
    with pytest.raises(UnknownNameError):
        finish(refused, tmp_path)
    finish(recipe, tmp_path)
    assert RunFolder(tmp_path).read_facts()["epochs_done"] == 3


@pytest.mark.parametrize("left", ["checkpoints", ".recipe.toml.0123abcd.part"])
def test_what_a_killed_start_leaves_is_no_obstacle(recipe, tmp_path, left):
    if left.startswith("."):
        (tmp_path / left).write_bytes(b"half")
    else:
        (tmp_path / left).mkdir()
    open_run(recipe, tmp_path, Accelerator(cpu=True))


def test_epochs_can_be_raised_and_not_lowered(recipe, tmp_path, caplog):
    finish(recipe, tmp_path, epochs=2)
    run = finish(recipe, tmp_path, epochs=3)
    assert [record["epoch"] for record in run.history] == [1, 2, 3]
    assert "raised from 2 to 3" in caplog.text
    with pytest.raises(DataError, match="epochs was 3 and is 2"):
        open_run(replace(recipe, epochs=2), tmp_path, Accelerator(cpu=True))


def test_what_differs_is_shown_as_values(recipe, tmp_path):
    begin(recipe, tmp_path)
    with pytest.raises(
        DataError, match=r"network_arguments was \{'p': 1, 'q': 1\} and is \{'p': 2"
    ):
        open_run(
            replace(recipe, network_arguments={"p": 2, "q": 1}), tmp_path, Accelerator(cpu=True)
        )


def test_a_batch_norm_that_sees_one_value_is_one_line(recipe, tmp_path):
    changes = {"batch_size": 3, "accumulate": 2, "size": (32, 32), "fit": "stretch"}
    with pytest.raises(DataError, match="one value a channel"):
        finish(
            recipe,
            tmp_path,
            network="pspnet",
            network_arguments={"encoder": "resnet18"},
            ema=None,
            **changes,
        )


def test_too_little_shared_memory_is_said_at_once(recipe, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    run = open_run(replace(recipe, num_workers=2), tmp_path, Accelerator(cpu=True))
    with pytest.raises(DataError, match=r"num_workers = 2 needs .* shared memory"):
        next(run.steps())


def test_patience_ends_a_run_whose_score_rises_no_more(recipe, tmp_path):
    """A rate of next to nothing changes no mask: the first evaluation stays the best."""
    run = finish(
        recipe, tmp_path, epochs=20, patience=2, learning_rate=1e-12, ema=None, schedule="constant"
    )
    assert [record["epoch"] for record in run.history] == [1, 2, 3]
    assert run.is_done
    again = open_run(
        replace(recipe, epochs=20, patience=4, learning_rate=1e-12, ema=None, schedule="constant"),
        tmp_path,
        Accelerator(cpu=True),
    )
    assert not again.is_done
    for _ in again.steps():
        pass
    assert [record["epoch"] for record in again.history] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "changes",
    [
        {"network_arguments": {"p": 1, "q": 1, "in_channels": 4}},
        {"mean": (0.5,) * 4, "std": (0.2,) * 4},
        {
            "network_arguments": {"p": 1, "q": 1, "in_channels": 4},
            "mean": (0.5,) * 4,
            "std": (0.2,) * 4,
        },
    ],
)
def test_other_channels_than_photos_have_are_refused_before_anything_is_written(
    recipe, tmp_path, changes
):
    with pytest.raises(DataError, match="but the images have 3"):
        open_run(replace(recipe, **changes), tmp_path / "run", Accelerator(cpu=True))
    assert not (tmp_path / "run").exists()


def test_what_does_not_change_the_weights_may_change_on_the_way(recipe, tmp_path, shapes, caplog):
    finish(recipe, tmp_path / "first", epochs=1)
    start = tmp_path / "first/last.safetensors"
    shutil.copytree(shapes, tmp_path / "data")
    recipe = replace(recipe, weights=str(start), data=(str(tmp_path / "data"),))
    finish(recipe, tmp_path / "whole")
    run = open_run(recipe, tmp_path / "parts", Accelerator(cpu=True))
    for _ in islice(run.steps(), 5):
        pass
    run.save()
    start.rename(tmp_path / "gone.safetensors")
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = replace(
        recipe,
        data=(str(tmp_path / "moved"),),
        protocol="camvid_published",
        evaluate_every=2,
        source="me",
        licence="mine",
        name="other",
    )
    caplog.clear()
    finish(moved, tmp_path / "parts")
    assert_equal_bits(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    assert "the best weights are chosen anew" in caplog.text
    assert load(tmp_path / "parts/last.safetensors").card.source == "me"


def test_other_start_weights_or_none_are_refused_on_the_way(recipe, tmp_path):
    finish(recipe, tmp_path / "first", epochs=1)
    finish(recipe, tmp_path / "second", epochs=1, seed=5)
    start = replace(recipe, weights=str(tmp_path / "first/last.safetensors"), epochs=1)
    finish(start, tmp_path / "run")
    for other in (None, str(tmp_path / "second/last.safetensors")):
        with pytest.raises(DataError, match="of other bytes"):
            open_run(replace(start, weights=other), tmp_path / "run", Accelerator(cpu=True))
    finish(replace(recipe, epochs=1), tmp_path / "bare")
    with pytest.raises(DataError, match="the run began with none"):
        open_run(start, tmp_path / "bare", Accelerator(cpu=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "void_ignore"}, "Did you mean 'void_ignored'"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"class_weights": "enett"}, "Did you mean 'enet'"),
        ({"weights": "gone.safetensors"}, "found nothing"),
        ({"class_names": ("a", "b")}, "class_names has 2 names"),
        ({"losses": {"dice": 1.0}}, "class_weights = 'enet', which has an effect only with a loss"),
        ({"predict_size": (16, 16), "predict_shorter_side": 20}, "leaves out the rest of it"),
        ({"learning_rate_factors": {"encodr": 0.1}}, "Did you mean 'encoder'"),
        ({"num_classes": 9}, "class_names has 4 names"),
        ({"patch_size": (8, 8)}, "only on slides"),
        ({"freeze_batch_norm": ("nowhere",)}, "batch norms of such names"),
    ],
)
def test_what_can_be_checked_is_checked_before_anything_is_written(
    recipe, tmp_path, changes, message
):
    with pytest.raises(AtrousError, match=message):
        open_run(replace(recipe, **changes), tmp_path / "run", Accelerator(cpu=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({"learning_rate_factors": {"encoder": 0.0}}, lambda name: name.startswith("encoder.")),
        ({"freeze_batch_norm": ("encoder.stage2",)}, lambda name: "encoder.stage2" in name),
        ({"freeze_batch_norm": True}, lambda _: True),
    ],
)
def test_statistics_of_frozen_norms_stay(recipe, tmp_path, changes, is_kept, caplog):
    run = open_run(replace(recipe, **changes, ema=None), tmp_path, Accelerator(cpu=True))
    assert "numbers that learn" in caplog.text
    before = {name: t.clone() for name, t in run.state.network.named_buffers()}
    for _ in islice(run.steps(), 3):
        pass
    after = dict(run.state.network.named_buffers())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if not is_kept(name)}


def test_an_error_of_a_worker_is_the_line_that_it_is_without(recipe, tmp_path):
    write_mask_folder(tmp_path / "data/train", num_images=2, size=(32, 48))
    write_mask_folder(tmp_path / "other", num_images=2, size=(32, 40))
    for kind in ("images", "masks"):
        for path in (tmp_path / "other" / kind).iterdir():
            path.rename(tmp_path / "data/train" / kind / f"x{path.name}")
    write_mask_folder(tmp_path / "data/val", num_images=2, size=(32, 48), seed=1)
    recipe = replace(recipe, data=(str(tmp_path / "data"),), size=None, batch_size=4)
    said = []
    for workers in (0, 1):
        run = open_run(
            replace(recipe, num_workers=workers), tmp_path / str(workers), Accelerator(cpu=True)
        )
        with pytest.raises(DataError, match="expected one; give the recipe a size") as caught:
            next(iter(run.steps()))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "\n" not in said[1]
