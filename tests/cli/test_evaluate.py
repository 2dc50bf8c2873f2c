"""`evaluate` as a user types it: class maps, remaps, averaging, labels, and what is refused."""

import csv
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.inference import load
from atrous.inference.tta import Averaging, predict_averaged
from atrous.metrics import score
from atrous.metrics.confusion import confusion_matrix
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import save_weights

COLOURS = ("red", "green", "blue", "cyan", "grey", "white", "black")


@pytest.fixture
def record(atrous):
    def run(*arguments):
        code, text, error = atrous("evaluate", *arguments, "--json")
        assert (code, error) == (0, "")
        return json.loads(text)

    return run


@pytest.fixture
def data(tmp_path):
    return write_mask_folder(tmp_path / "data", num_images=4, size=(18, 26))


@pytest.fixture
def written(tmp_path):
    def write(text, name="map.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("labels") / "colours.safetensors", COLOURS)


def save_classifier(path, names):
    """The smallest ShuffleNet, random and seeded, that calls different pictures differently."""
    arguments = {"num_classes": len(names)}
    card = Card(
        name="shufflenet_v2_x0_5.colours",
        network="shufflenet_v2_x0_5",
        arguments=arguments,
        task="classification",
        class_names=names,
        palette=((0, 0, 0),) * len(names),
        preprocessing=Preprocessing(
            mean=(0.5,) * 3, std=(0.25,) * 3, size=(32, 32), shorter_side=40
        ),
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = build_network("shufflenet_v2_x0_5", arguments)
        logits = network.eval()(torch.randn(16, 3, 1, 1).expand(-1, -1, 32, 32)).detach()
        network.head.linear.weight.data /= logits.std(0)[:, None]
        network.head.linear.bias.data -= logits.mean(0)
        network.head.linear.bias.data /= logits.std(0)
        save_weights(path, network, card)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Noise around some colour, in folders of three of the network's classes, in another order."""
    generator = np.random.default_rng(0)
    for name in COLOURS[:3]:
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for index in range(4):
            noise = generator.integers(0, 60, (44 + index, 60, 3), np.uint8)
            pixels = noise + generator.integers(0, 196, 3, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "labelled" / name / f"{index}.png")
    return tmp_path / "labelled"


def identity(names):
    lines = [f'"{name}" = "{name}"' for name in names]
    numbers = [f'{index} = "{name}"' for index, name in enumerate(names)]
    return "\n".join([f"classes = {list(names)}", "[data]", *numbers, "[network]", *lines])


class TestClassMaps:
    def test_an_identity_map_changes_no_number(self, record, tiny_weights, data, written):
        options = (tiny_weights, data, "--layout", "mask_folder")
        plain = record(*options)
        mapped = record(*options, "--class-map", written(identity(SHAPE_CLASSES)))
        assert plain.pop("class_map") is None
        assert mapped.pop("class_map") == "map.toml"
        assert "names no classes" in plain.pop("classes_note")
        assert mapped == plain

    def test_other_is_printed_and_not_averaged(self, atrous, tiny_weights, data, written):
        text = identity(SHAPE_CLASSES).replace('"stripe" = "stripe"', '"disc" = "stripe"')
        text = text.replace('"disc" = "disc"', '"square" = "disc"')
        text = text.replace('"square" = "square"', '"background" = "square"')
        text = text.replace('"background" = "background"', '"stripe" = "background"')
        without = text.replace('"disc" = "stripe"', "").replace(", 'stripe'", "")
        without = without.replace('3 = "stripe"', "")
        code, out, error = atrous(
            "evaluate",
            *(tiny_weights, data, "--layout", "mask_folder", "--class-map", written(without)),
        )
        assert (code, error) == (0, "")
        assert "class map map.toml: 3 shared classes; always wrong: disc" in out
        assert re.search(r"\(other\) .* not averaged", out)

    def test_a_remap_gives_what_remapped_files_would(self, record, tiny_weights, data, written):
        swapped = written(
            f"classes = {list(SHAPE_CLASSES)}\n[data]\n"
            '0 = "background"\n1 = "square"\n2 = "disc"\n3 = "stripe"\n'
        )
        by_map = record(tiny_weights, data, "--layout", "mask_folder", "--remap", swapped)
        assert by_map.pop("remap") == str(swapped)
        table = np.array([0, 2, 1, 3], np.uint8)
        for path in (data / "masks").iterdir():
            Image.fromarray(table[np.array(Image.open(path))]).save(path)
        by_files = record(tiny_weights, data, "--layout", "mask_folder")
        assert by_files.pop("remap") is None
        assert "names no classes" in by_files.pop("classes_note")
        assert by_map == by_files

    def test_a_subset_scores_only_what_it_lists(self, record, tiny_weights, data, tmp_path):
        names = sorted(path.stem for path in (data / "images").iterdir())[1:3]
        (tmp_path / "names.txt").write_text("\n".join(names))
        scored = record(
            *(tiny_weights, data, "--layout", "mask_folder", "--subset", tmp_path / "names.txt")
        )
        assert scored["images"] == 2

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (None, "No file or class map is named"),
            ("classes = [", "is not TOML"),
            ("classes = ['a']\n[data]\n0 = 'a'", r"no table \[network\]"),
            (
                "classes = ['a']\n[data]\n0 = 'a'\n[network]\nbackgroud = 'a'",
                "Did you mean 'background'",
            ),
            (
                "classes = ['a']\n[data]\nx = 'a'\n[network]\nbackground = 'a'",
                "No class of the data in map.toml is named 'x'",
            ),
            ("classes = ['a', 'b']\n[data]\n0 = 'a'", "belongs to the shared class 'b'"),
        ],
    )
    def test_a_map_that_does_not_fit_is_one_line(
        self, atrous, tiny_weights, data, tmp_path, written, text, words
    ):
        path = tmp_path / "map.toml" if text is None else written(text)
        page = tmp_path / "page.html"
        options = ("--layout", "mask_folder", "--class-map", path, "--html", page)
        code, out, error = atrous("evaluate", tiny_weights, data, *options)
        assert (code, out) == (2, "")
        assert len(error.strip().splitlines()) == 1
        assert re.search(words, error)
        assert not page.exists()

    def test_a_protocol_for_other_classes_is_refused_before_the_data_is_opened(
        self, atrous, tiny_weights, tmp_path, written
    ):
        code, _, error = atrous(
            "evaluate",
            *(tiny_weights, tmp_path, "--layout", "mask_folder", "--protocol", "voc"),
            *("--class-map", written(identity(SHAPE_CLASSES))),
        )
        assert code == 2
        assert "The network has 4 classes besides void" in error

    def test_jpeg_masks_are_refused_whatever_the_map(self, atrous, tiny_weights, data, written):
        for path in sorted((data / "masks").iterdir()):
            Image.open(path).convert("L").save(path.with_suffix(".jpg"))
            path.unlink()
        code, _, error = atrous(
            "evaluate",
            *(tiny_weights, data, "--layout", "mask_folder"),
            *("--class-map", written(identity(SHAPE_CLASSES))),
        )
        assert code == 2
        assert len(error.strip().splitlines()) == 1
        assert "JPEG" in error


class TestAveraging:
    def test_the_score_is_that_of_averaged_masks_and_says_so(self, record, tiny_weights, data):
        scored = record(
            *(tiny_weights, data, "--layout", "mask_folder"), "--flip", "--scales", "0.5,1"
        )
        assert scored["flip"] is True
        assert scored["scales"] == [0.5, 1.0]
        predictor = load(tiny_weights)
        averaging = Averaging(scales=(0.5, 1.0), has_flip=True)
        total = torch.zeros(5, 4, dtype=torch.int64)
        for path in (data / "images").iterdir():
            truth = torch.from_numpy(np.array(Image.open(data / "masks" / f"{path.stem}.png")))
            mask = predict_averaged(predictor, path, averaging).mask
            total += confusion_matrix(truth, mask, num_classes=4)
        expected = score(total, protocol="void_ignored").mean_iou
        assert scored["miou"] == pytest.approx(100 * expected, abs=1e-3)

    def test_text_and_page_say_so(self, atrous, tiny_weights, data, tmp_path):
        options = (tiny_weights, data, "--layout", "mask_folder", "--html", tmp_path / "p.html")
        _, text, _ = atrous("evaluate", *options, "--flip", "--scales", "0.75,1,1.25")
        assert "protocol void_ignored, with flip and scales 0.75, 1, 1.25: one matrix" in text
        assert "with flip and scales 0.75, 1, 1.25" in (tmp_path / "p.html").read_text()
        _, text, _ = atrous("evaluate", *options)
        assert "protocol void_ignored: one matrix" in text
        assert "with flip" not in (tmp_path / "p.html").read_text()

    @pytest.mark.parametrize("scales", ["", "a", "1,", "0", "-1", "nan", "1,1"])
    def test_what_is_no_list_of_scales_is_refused(self, atrous, tiny_weights, data, scales):
        code, _, error = atrous(
            "evaluate", tiny_weights, data, "--layout", "mask_folder", f"--scales={scales}"
        )
        assert code == 2
        assert len(error.strip().splitlines()) == 1
        assert "cales" in error


class TestLabels:
    def test_json_holds_what_the_classifier_says_of_every_image(self, record, classifier, pictures):
        scored = record(classifier, pictures, "--layout", "image_folder")
        predictor = load(classifier)
        confusion, first, five = {}, 0, 0
        for path in sorted(pictures.glob("*/*")):
            ranking = [name for name, _ in predictor.predict(path).top(5)]
            row = confusion.setdefault(path.parent.name, {})
            row[ranking[0]] = row.get(ranking[0], 0) + 1
            first += ranking[0] == path.parent.name
            five += path.parent.name in ranking
        assert len({called for row in confusion.values() for called in row}) > 1
        assert scored["confusion"] == confusion
        assert scored["images"] == 12
        assert scored["protocol"] == "top1"
        assert scored["top1"] == pytest.approx(100 * first / 12, abs=1e-4)
        assert scored["top5"] == pytest.approx(100 * five / 12, abs=1e-4)
        assert set(scored["accuracy"]) == set(COLOURS[:3])
        low, high = scored["interval"]["top1"]
        assert 0 <= low <= scored["top1"] <= high <= 100
        assert scored["input_size"] == [32, 32]

    def test_text_and_page_name_protocol_and_crop(self, atrous, classifier, pictures, tmp_path):
        page = tmp_path / "page.html"
        code, text, error = atrous(
            "evaluate", classifier, pictures, "--layout", "image_folder", "--html", page
        )
        assert (code, error) == (0, "")
        crop = "shorter side resized to 40, then the central 32x32 crop"
        html = page.read_text()
        for words in ("top1", crop, "green"):
            assert words in text
            assert words in html
        assert "top-5 accuracy" in text
        assert "Wilson" in text
        assert not re.search(r"""(src|href)=["'](?!data:)""", html)

    def test_top5_is_left_out_where_five_are_all(self, atrous, pictures, tmp_path):
        weights = save_classifier(tmp_path / "five.safetensors", COLOURS[:5])
        code, text, _ = atrous("evaluate", weights, pictures, "--layout", "image_folder", "--json")
        assert code == 0
        assert json.loads(text)["top5"] is None
        assert json.loads(text)["interval"]["top5"] is None
        _, text, _ = atrous("evaluate", weights, pictures, "--layout", "image_folder")
        assert "top-5" not in text

    def test_folders_of_other_names_need_a_class_map(self, atrous, classifier, pictures, written):
        plain = atrous("evaluate", classifier, pictures, "--layout", "image_folder", "--json")[1]
        for index, name in enumerate(COLOURS[:3]):
            (pictures / name).rename(pictures / f"n{index}")
        code, _, error = atrous("evaluate", classifier, pictures, "--layout", "image_folder")
        assert code == 2
        assert len(error.strip().splitlines()) == 1
        assert "3 of the data's 3 labels" in error
        assert "class map" in error
        lines = [f'n{index} = "{name}"' for index, name in enumerate(COLOURS[:3])]
        own = [f'{name} = "{name}"' for name in COLOURS[:3]]
        path = written(
            "\n".join([f"classes = {list(COLOURS[:3])}", "[data]", *lines, "[network]", *own])
        )
        code, text, _ = atrous(
            "evaluate",
            *(classifier, pictures, "--layout", "image_folder", "--class-map", path, "--json"),
        )
        assert code == 0
        mapped, named = json.loads(text), json.loads(plain)
        for key in ("top1", "top5", "accuracy", "mean_class_accuracy", "interval"):
            assert mapped[key] == named[key]
        beside = {name: count for row in named["confusion"].values() for name, count in row.items()}
        has_other = any("(other)" in row for row in mapped["confusion"].values())
        assert has_other == bool(set(beside) - set(COLOURS[:3]))

    def test_flip_is_said_of_labels_too(self, atrous, classifier, pictures):
        _, text, _ = atrous("evaluate", classifier, pictures, "--layout", "image_folder", "--flip")
        assert "protocol top1, with flip: share of images" in text

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--protocol", "void_ignored"], "No protocol for labels is named 'void_ignored'"),
            (["--boundary"], "no boundary"),
            (["--layout", "mask_folder"], "images/"),
        ],
    )
    def test_what_is_for_masks_is_refused(self, atrous, classifier, pictures, options, words):
        code, _, error = atrous(
            "evaluate", classifier, pictures, "--layout", "image_folder", *options
        )
        assert code == 2
        assert len(error.strip().splitlines()) == 1
        assert words in error

    def test_a_classifier_and_masks_do_not_go_together(self, atrous, classifier, data):
        code, _, error = atrous("evaluate", classifier, data, "--layout", "mask_folder")
        assert code == 2
        assert "no label for a whole image" in error

    def test_a_segmenter_and_labels_do_not_go_together(self, atrous, tiny_weights, pictures):
        code, _, error = atrous("evaluate", tiny_weights, pictures, "--layout", "image_folder")
        assert code == 2
        assert "no masks" in error


class TestJoint:
    @pytest.fixture
    def weights(self, tmp_path):
        return self.save(tmp_path / "ynet.safetensors", ("benign", "atypia", "invasive"))

    def save(self, path, label_names):
        arguments = {"num_classes": 4, "num_labels": 3}
        card = Card(
            name="ynet.tiny",
            network="ynet",
            arguments=arguments,
            task="joint",
            class_names=tuple(SHAPE_CLASSES),
            palette=((0, 0, 0),) * 4,
            label_names=label_names,
            preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
        )
        with torch.random.fork_rng():
            torch.manual_seed(3)
            save_weights(path, build_network("ynet", arguments), card)
        return path

    @pytest.fixture
    def diagnosed(self, tmp_path):
        """Images of two sizes, so that they are not run in their order."""
        root = write_mask_folder(tmp_path / "tissue", num_images=5, size=(33, 46))
        for kind in ("images", "masks"):
            path = sorted((root / kind).iterdir())[1]
            with Image.open(path) as picture:
                picture.crop((0, 0, 40, 33)).save(path)
        names = sorted(path.stem for path in (root / "images").iterdir())
        labels = ("invasive", "benign", "benign", "atypia", "invasive")
        with (root / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("name", "label"), *zip(names, labels, strict=True)])
        return root

    def test_masks_and_labels_are_both_scored(self, atrous, record, weights, diagnosed):
        scored = record(weights, diagnosed, "--layout", "joint_folder")
        assert scored["images"] == scored["labels"]["images"] == 5
        predictor = load(weights)
        expected = {}
        with (diagnosed / "labels.csv").open() as file:
            for row in csv.DictReader(file):
                image = next((diagnosed / "images").glob(f"{row['name']}.*"))
                called = predictor.predict(image).label.top(1)[0][0]
                counts = expected.setdefault(row["label"], {})
                counts[called] = counts.get(called, 0) + 1
        assert scored["labels"]["confusion"] == expected
        masks_alone = record(weights, diagnosed, "--layout", "mask_folder")
        assert "labels" not in masks_alone
        assert masks_alone["miou"] == scored["miou"]
        _, text, _ = atrous("evaluate", weights, diagnosed, "--layout", "joint_folder")
        assert "mean IoU" in text
        assert "top-1 accuracy" in text

    def test_the_page_has_both(self, atrous, weights, diagnosed, tmp_path):
        page = tmp_path / "page.html"
        atrous("evaluate", weights, diagnosed, "--layout", "joint_folder", "--html", page)
        assert "Top-1 accuracy" in page.read_text()
        assert "Mean IoU" in page.read_text()

    def test_labels_without_names_are_refused(self, atrous, diagnosed, tmp_path):
        weights = self.save(tmp_path / "nameless.safetensors", ())
        code, _, error = atrous("evaluate", weights, diagnosed, "--layout", "joint_folder")
        assert code == 2
        assert "does not name its labels" in error
