"""`predict --background`: cut-outs, blurred and replaced backgrounds, as a user types them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.inference import load
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import save_weights
from atrous.reports.photos.matte import make_matte


def saved(path, *, class_names, changes=lambda _: None):
    arguments = {"num_classes": len(class_names), "p": 1, "q": 1}
    card = Card(
        name="espnet.stand_in",
        network="espnet",
        arguments=arguments,
        task="segmentation",
        class_names=class_names,
        palette=tuple((index, 0, 0) for index in range(len(class_names))),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build_network("espnet", arguments)
    changes(network)
    save_weights(path, network, card)
    return path


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """Random weights with a background and a person."""
    path = tmp_path_factory.mktemp("person") / "model.safetensors"
    return saved(path, class_names=("background", "person"))


@pytest.fixture(scope="module")
def undecided(tmp_path_factory):
    """All weights zero: every class equally likely everywhere, so the mask is the first class."""

    def clear(network):
        for tensor in network.parameters():
            torch.nn.init.zeros_(tensor)

    path = tmp_path_factory.mktemp("undecided") / "model.safetensors"
    return saved(path, class_names=("background", "person"), changes=clear)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (33, 46, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_one_line(error, *words):
    assert len(error.strip().splitlines()) == 1, error
    assert error.startswith("atrous: ")
    for word in words:
        assert word in error


def test_one_run_writes_all_that_is_asked_for(atrous, person, photos, tmp_path):
    out, other = tmp_path / "out", tmp_path / "beach.jpg"
    Image.new("RGB", (90, 20), (250, 220, 140)).save(other)
    wanted = [part for word in ("remove", "blur", other) for part in ("--background", word)]
    code, text, error = atrous("predict", person, photos, "--out", out, *wanted)
    assert (code, error) == (0, "")
    assert "cutouts/, blurred/, replaced/" in text
    assert names(out / "cutouts") == ["0.png", "1.png", "2.png"]
    assert names(out / "blurred") == names(out / "replaced") == ["0.jpg", "1.jpg", "2.jpg"]
    predictor = load(person)
    for index in range(3):
        image = np.array(Image.open(photos / f"{index}.png"))
        # Alone, not in a batch, whose sums may round otherwise.
        (prediction,) = predictor.predict_foreground([image], foreground=1)
        matte = make_matte(image, prediction.probabilities[0].numpy())
        pixels = np.array(Image.open(out / "cutouts" / f"{index}.png")).astype(float)
        assert pixels.shape == (33, 46, 4)
        assert np.abs(pixels[..., 3] - 255 * matte.opacity).max() <= 2
        assert np.array(Image.open(out / "blurred" / f"{index}.jpg")).shape == (33, 46, 3)
        replaced = np.array(Image.open(out / "replaced" / f"{index}.jpg")).astype(float)
        share = matte.opacity[..., None]
        expected = share * matte.colours + (1 - share) * (250, 220, 140)
        assert np.abs(replaced - expected).mean() < 8  # JPEG of noise


def test_without_the_option_nothing_of_it_is_made(atrous, person, photos, tmp_path):
    out = tmp_path / "out"
    code, text, _ = atrous("predict", person, photos, "--out", out, "--json")
    assert code == 0
    assert "edits" not in json.loads(text)
    assert "edits" not in json.loads((out / "run.json").read_text())
    assert not {"cutouts", "blurred", "replaced"} & set(names(out))


def test_json_tells_the_class_and_the_folders(atrous, person, photos, tmp_path):
    options = ("--background", "blur", "--foreground", "background", "--json")
    code, text, _ = atrous("predict", person, photos, "--out", tmp_path / "out", *options)
    assert code == 0
    assert json.loads(text)["edits"] == {"foreground": "background", "folders": ["blurred"]}


def test_a_second_run_does_only_what_is_missing(atrous, person, photos, tmp_path):
    out = tmp_path / "out"
    atrous("predict", person, photos, "--out", out)
    command = ("predict", person, photos, "--out", out, "--background", "remove")
    code, text, _ = atrous(*command)
    assert code == 0
    assert "done before" not in text
    before = {path: path.stat().st_mtime_ns for path in (out / "cutouts").iterdir()}
    (out / "cutouts" / "1.png").unlink()
    code, text, _ = atrous(*command)
    assert code == 0
    assert "2 of them done before" in text
    changed = [path.name for path in before if path.stat().st_mtime_ns != before[path]]
    assert changed == ["1.png"]
    _, text, _ = atrous("predict", person, photos, "--out", out)
    assert "3 of them done before" in text
    assert "cutouts" in json.loads((out / "run.json").read_text())["edits"]


def test_pictures_of_another_class_or_picture_are_not_mixed(atrous, person, photos, tmp_path):
    out = tmp_path / "out"
    black, white = tmp_path / "black.png", tmp_path / "white.png"
    Image.new("L", (5, 5), 0).save(black)
    Image.new("L", (5, 5), 255).save(white)
    command = ("predict", person, photos, "--out", out, "--background")
    assert atrous(*command, black)[0] == 0
    assert atrous(*command, black)[0] == 0
    for options in ([white], [black, "--foreground", "background"]):
        code, _, error = atrous(*command, *options)
        assert code == 2
        assert_one_line(error, "replaced", "--overwrite")
    assert atrous(*command, "remove", "--foreground", "background")[0] == 0
    assert atrous(*command, white, "--overwrite")[0] == 0
    assert atrous(*command, white)[0] == 0


def test_pictures_that_nobody_noted_are_not_taken_for_done(atrous, person, photos, tmp_path):
    out = tmp_path / "out"
    command = ("predict", person, photos, "--out", out, "--background", "remove")
    atrous(*command)
    run = json.loads((out / "run.json").read_text())
    del run["edits"]
    (out / "run.json").write_text(json.dumps(run))
    code, _, error = atrous(*command)
    assert code == 2
    assert_one_line(error, "cutouts")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("grey.png", lambda path: Image.new("L", (31, 20), 90).save(path)),
        (
            "deep.png",
            lambda path: Image.fromarray(np.full((20, 31), 40_000, np.uint16)).save(path),
        ),
        ("cmyk.jpg", lambda path: Image.new("CMYK", (31, 20), (9, 80, 70, 10)).save(path)),
        ("clear.png", lambda path: Image.new("RGBA", (31, 20), (9, 80, 70, 0)).save(path)),
        ("dot.png", lambda path: Image.new("RGB", (1, 1)).save(path)),
        ("line.png", lambda path: Image.new("RGB", (700, 1), (3, 200, 9)).save(path)),
    ],
)
def test_any_kind_and_size_of_photo_is_taken(atrous, person, tmp_path, name, save):
    save(tmp_path / name)
    wanted = ("--background", "remove", "--background", "blur", "--background", tmp_path / name)
    code, _, error = atrous("predict", person, tmp_path / name, "--out", tmp_path / "out", *wanted)
    assert (code, error) == (0, "")
    stem = name.partition(".")[0]
    with Image.open(tmp_path / name) as photo:
        for made in (f"cutouts/{stem}.png", f"blurred/{stem}.jpg", f"replaced/{stem}.jpg"):
            with Image.open(tmp_path / "out" / made) as picture:
                assert picture.size == photo.size


def test_a_photo_held_upright_gives_upright_pictures(atrous, person, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.new("RGB", (40, 24), (200, 30, 20)).save(tmp_path / "x.jpg", exif=exif)
    atrous("predict", person, tmp_path / "x.jpg", "--out", tmp_path / "out", "--background", "blur")
    with Image.open(tmp_path / "out" / "blurred" / "x.jpg") as picture:
        assert picture.size == (24, 40)
        assert 0x0112 not in picture.getexif()


def test_a_photo_without_a_person_is_named_and_wholly_background(
    atrous, undecided, photos, tmp_path
):
    out = tmp_path / "out"
    code, text, _ = atrous("predict", undecided, photos, "--out", out, "--background", "blur")
    assert code == 0
    assert "no person was found in 0, 1, 2" in text


def test_broken_files_are_named_and_the_rest_goes_on(atrous, person, photos, tmp_path):
    (photos / "bad.jpg").write_text("no picture")
    out = tmp_path / "out"
    code, text, error = atrous("predict", person, photos, "--out", out, "--background", "remove")
    assert code == 1
    assert_one_line(error, "bad.jpg")
    assert "3 images" in text
    assert len(names(out / "cutouts")) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--background", "blurr"], ["'blurr'", "expected remove, blur, or the file"]),
        (["--background", "missing.jpg"], ["missing.jpg", "no such file"]),
        (["--background", "text.jpg"], ["text.jpg", "not an image"]),
        (["--background", "a.png", "--background", "b.png"], ["two pictures"]),
        (["--background", "blur", "--foreground", "persn"], ["Did you mean 'person'"]),
        (["--foreground", "person"], ["without --background"]),
    ],
)
def test_wrong_options_are_one_line_and_nothing_is_written(
    atrous, person, photos, tmp_path, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.jpg").write_text("no picture")
    code, text, error = atrous("predict", person, photos, "--out", "out", *options)
    assert (code, text) == (2, "")
    assert_one_line(error, *words)
    assert not (tmp_path / "out").exists()


def test_classes_without_a_person_need_one_that_is_named(atrous, tiny_weights, photos, tmp_path):
    command = ("predict", tiny_weights, photos, "--out", tmp_path / "out", "--background", "blur")
    code, _, error = atrous(*command)
    assert code == 2
    assert_one_line(error, "--foreground: background, disc, square, stripe")
    assert atrous(*command, "--foreground", "disc")[0] == 0


def test_a_classifier_has_no_background(atrous, photos, tmp_path):
    card = Card(
        name="shufflenet_v2_x0_5.two",
        network="shufflenet_v2_x0_5",
        arguments={"num_classes": 2},
        task="classification",
        class_names=("cat", "dog"),
        palette=((0, 0, 0), (1, 1, 1)),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=(64, 64)),
    )
    path = tmp_path / "labels.safetensors"
    save_weights(path, build_network(card.network, card.arguments), card)
    out = tmp_path / "out"
    code, _, error = atrous("predict", path, photos, "--out", out, "--background", "blur")
    assert code == 2
    assert_one_line(error, "gives labels, but --background needs masks")
    assert not out.exists()


def test_label_ids_of_cityscapes_are_what_its_server_takes(photos, tmp_path, atrous):
    weights = saved(tmp_path / "m.safetensors", class_names=("road", "bicycle", "background"))
    out = tmp_path / "out"
    command = ("predict", weights, photos, "--out", out, "--label-ids", "cityscapes")
    assert atrous(*command)[0] == 0
    table = np.array([7, 33, 0])  # the official table of labels; 0 is unlabelled
    for name in names(photos):
        ids = np.asarray(Image.open(out / "label_ids" / name))
        assert ids.dtype == np.uint8
        assert (ids == table[np.asarray(Image.open(out / "masks" / name))]).all()
    weights = saved(tmp_path / "n.safetensors", class_names=("road", "kidney"))
    code, _, err = atrous("predict", weights, photos, "--out", out, "--label-ids", "cityscapes")
    assert (code, "'kidney', which is none of Cityscapes'" in err) == (2, True)
