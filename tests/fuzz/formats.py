"""Every format that is read: a small sound file of it, and what reads such a file."""

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import tifffile
import torch
from PIL import Image

from atrous._journal import Journal
from atrous.data.catalog import open_layout
from atrous.data.class_map import read_class_map
from atrous.data.layouts.coco_panoptic import _read as read_panoptic
from atrous.data.layouts.dataset_json import dataset_facts, read_dataset_json
from atrous.data.layouts.joint_folder import _read_labels
from atrous.data.layouts.name_list import read_names
from atrous.data.photos.bands import read_bands
from atrous.data.photos.colour_mask import read_colour_table
from atrous.data.photos.mask import read_mask
from atrous.data.photos.read import read_image, read_rgb8
from atrous.data.slides.annotations import read_annotations
from atrous.data.slides.read import open_slide
from atrous.data.volumes.read import read_mask_volume, read_volume
from atrous.inference.load import load
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.convert.read import read_checkpoint
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import load_weights, save_weights
from atrous.reports.manifest import DoneInputs
from atrous.training.recipe.file import read_recipe
from atrous.training.run.checkpoint import save_checkpoint, whole_checkpoints
from atrous.training.run.folder import RunFolder

_rng = np.random.default_rng(0)
RGB = np.kron(_rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
MASK = RGB[..., 0] // 64
SCAN = _rng.integers(-50, 400, (12, 10, 8)).astype(np.int16)


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        name: How files are called, so that they are taken for it.
        make: Bytes of a sound one.
        read: What a command does with one.
        is_text: Whether tokens are changed rather than bytes.
        is_guarded: Whether checksums cover all that `read` gives, so that what is accepted must be
            what the sound file gives.
    """

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]
    is_text: bool = False
    is_guarded: bool = False


def _picture(kind: str, array: np.ndarray = RGB, **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


def _tiff(array: np.ndarray, **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        return buffer.getvalue()

    return make


def _nifti(array: np.ndarray, *, packed: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        data = nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])).to_bytes()
        return gzip.compress(data, mtime=0) if packed else data

    return make


def _by(write: Callable[[Path], object], name: str) -> Callable[[], bytes]:
    """Bytes of a file that a function writes into a folder under a name."""

    def make() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            return next(Path(folder).rglob(name)).read_bytes()

    return make


def _simple_itk(name: str) -> Callable[[], bytes]:
    import SimpleITK

    return _by(lambda f: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(SCAN), f / name), name)


def _read_slide(path: Path) -> object:
    with open_slide(path, override_mpp=0.5) as slide:
        return slide.read_thumbnail(64)


def _small() -> tuple[torch.nn.Module, Card]:
    torch.manual_seed(0)
    network = build_network("espnet_c", {"num_classes": 3, "p": 1, "q": 1})
    return network, replace(_CARD, arguments={"num_classes": 3, "p": 1, "q": 1})


_CARD = Card(
    name="espnet_c.fuzz",
    network="espnet_c",
    arguments={"num_classes": 3},
    task="segmentation",
    class_names=("a", "b", "c"),
    palette=((0, 0, 0), (255, 0, 0), (0, 255, 0)),
    preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
)


def _read_weights(path: Path) -> object:
    weights = load_weights(path)
    load(path).predict(RGB)
    return [tensor.numpy().tobytes() for tensor in weights.network.state_dict().values()]


def _layout(name: str, image: str, **options: str) -> Callable[[Path], object]:
    """Reads the first sample of a layout whose file lies with its image in a folder."""

    def read(path: Path) -> object:
        root = path.parent
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).write_bytes(sound("jpeg"))
        if name == "yolo_seg":
            (root / "labels").mkdir()
            path.rename(root / "labels/a.txt")
            (root / "classes.txt").write_text("a\nb\n")
        return open_layout(name, root, **options).rgb8_and_mask(0)

    return read


def _read_card(path: Path) -> object:
    """A card as it lies in a weights file, whose text is UTF-8."""
    return Card.from_json(path.read_bytes().decode(errors="replace"))


def _read_run_checkpoint(path: Path) -> object:
    """The state, whatever the name; None where it was set aside, which is an answer too."""
    place = path.with_name("checkpoint-00000003.pt")
    path.rename(place)
    found = next(iter(whole_checkpoints(path.parent)), None)
    return found and (found.step, found.state["w"].tolist(), found.state["lr"])


def _read_record(path: Path) -> object:
    facts = dataset_facts(read_dataset_json(path.parent), path=path)
    return facts.num_classes


def _read_journal(path: Path) -> object:
    with DoneInputs(path.parent, weights="w", may_overwrite=False) as done:
        return done.holds("a", "1")


def _write_journal(folder: Path) -> None:
    with Journal(folder / "inputs.jsonl", run={"weights": "w"}) as journal:
        for name in "abcdef":
            journal.add({"name": name, "state": "1"})


def _text(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


def _json(value: object) -> Callable[[], bytes]:
    return _text(json.dumps(value))


_RING = [[0, 0], [0, 20], [30, 20], [30, 0], [0, 0]]
_FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Polygon", "coordinates": [_RING]},
    "properties": {"classification": {"name": "tumour", "color": [255, 0, 0]}},
}
_PANOPTIC = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 7, "name": "dog"}],
    "annotations": [
        {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 5, "category_id": 7}]}
    ],
}
_RECORD = {
    "epoch": 1, "step": 4, "seconds": 1.5, "images_per_second": 3.0, "learning_rate": 0.1,
    "losses": {"total": 1.0}, "scores": {"miou": 50.0}, "class_iou": {"a": 50.0}, "is_best": True,
}  # fmt: skip
_RECIPE = """name = "espnet.x"
network = "espnet"
network_arguments = { p = 1, q = 1 }
layout = "mask_folder"
data = ["x"]
num_classes = 2
size = [32, 48]
scale = [0.5, 2.0]
epochs = 3
batch_size = 2
learning_rate = 2e-3
size_steps = [[0.5, 16, 16]]
losses = { cross_entropy = 1.0 }
"""
_DATASET = {
    "name": "x",
    "modality": {"0": "T1"},
    "labels": {"0": "background", "1": "liver", "2": "spleen"},
    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
}

_LABELME = {
    "shapes": [
        {"label": "cat", "points": [[1, 1], [30, 5], [9, 20]], "shape_type": "polygon"},
        {"label": "dog", "points": [[5, 5], [9, 9]], "shape_type": "circle"},
    ],
    "imagePath": "a.jpg",
    "imageHeight": 48,
    "imageWidth": 64,
}
_INSTANCES = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 48, "width": 64}],
    "categories": [{"id": 2, "name": "cat"}],
    "annotations": [
        {"image_id": 1, "category_id": 2, "segmentation": [[1, 1, 30, 5, 9, 20]]},
        {"image_id": 1, "category_id": 2, "segmentation": {"counts": [48, 96, 2928]}},
    ],
}
_CVAT = """<annotations><image id="0" name="a.jpg" width="64" height="48">
<polygon label="cat" points="1,1;30,5;9,20" z_order="1"/>
<box label="dog" xtl="2" ytl="3" xbr="9" ybr="8" z_order="0"/>
<mask label="dog" rle="1, 2, 3" left="0" top="20" width="3" height="2" z_order="2"/>
</image></annotations>"""

FORMATS: dict[str, Format] = {
    "jpeg": Format("a.jpg", _picture("JPEG"), read_rgb8),
    "png": Format("a.png", _picture("PNG"), read_rgb8),
    "webp": Format("a.webp", _picture("WEBP"), read_rgb8),
    "tiff": Format("a.tif", _picture("TIFF", compression="tiff_lzw"), read_rgb8),
    "tiff_jpeg": Format("a.tif", _picture("TIFF", compression="jpeg"), read_rgb8),
    "tiff_float": Format("a.tif", _tiff(RGB / np.float32(255), photometric="rgb"), read_image),
    "tiff_bands": Format(
        "a.tif",
        _tiff(np.dstack([RGB, RGB]), photometric="minisblack", planarconfig="contig"),
        read_bands,
    ),
    "bmp": Format("a.bmp", _picture("BMP"), read_rgb8),
    "gif": Format("a.gif", _picture("GIF"), read_rgb8),
    "avif": Format("a.avif", _picture("AVIF"), read_rgb8),
    "jpeg_2000": Format("a.jp2", _picture("JPEG2000"), read_rgb8),
    "mask_png": Format("a.png", _picture("PNG", MASK), read_mask, is_guarded=True),
    "mask_tiff": Format("a.tif", _picture("TIFF", MASK), read_mask),
    "nifti": Format("a.nii", _nifti(SCAN, packed=False), read_volume),
    "nifti_packed": Format("a.nii.gz", _nifti(SCAN, packed=True), read_volume),
    "nifti_labels": Format(
        "a.nii.gz", _nifti((SCAN > 200).astype(np.uint8), packed=True), read_mask_volume
    ),
    "nrrd": Format("a.nrrd", _simple_itk("a.nrrd"), read_volume),
    "meta_image": Format("a.mha", _simple_itk("a.mha"), read_volume),
    "mgh": Format(
        "a.mgz",
        _by(lambda f: nibabel.save(nibabel.MGHImage(SCAN, np.eye(4)), f / "a.mgz"), "a.mgz"),
        read_volume,
    ),
    "slide": Format(
        "a.tif",
        _tiff(
            np.tile(RGB, (4, 4, 1))[:192, :192],
            tile=(64, 64),
            compression="jpeg",
            photometric="rgb",
            metadata=None,
        ),
        _read_slide,
    ),
    "geojson": Format(
        "a.geojson",
        _json({"type": "FeatureCollection", "features": [_FEATURE] * 3}),
        read_annotations,
        is_text=True,
    ),
    "weights": Format(
        "a.safetensors",
        _by(lambda f: save_weights(f / "a.safetensors", *_small()), "a.safetensors"),
        _read_weights,
        is_guarded=True,
    ),
    "pth": Format(
        "a.pth",
        _by(lambda f: torch.save({"a": torch.zeros(8), "b": torch.ones(3, 4)}, f / "a.pth"), "*"),
        read_checkpoint,
    ),
    "checkpoint": Format(
        "a.pt",
        _by(
            lambda f: save_checkpoint(f, 3, {"w": torch.arange(9.0), "lr": 0.25, "x": [1, "y"]}),
            "*.pt",
        ),
        _read_run_checkpoint,
        is_guarded=True,
    ),
    "card": Format("a.json", _text(_CARD.to_json()), _read_card, is_text=True),
    "recipe": Format("a.toml", _text(_RECIPE), read_recipe, is_text=True),
    "class_map": Format(
        "a.toml",
        _text('classes = ["a", "b"]\n[data]\nx = "a"\ny = "b"\n'),
        read_class_map,
        is_text=True,
    ),
    "names": Format("a.txt", _text("a\n# b\nc d\n"), read_names, is_text=True),
    "labels_csv": Format("labels.csv", _text("name,label\na,x\nb,y\n"), _read_labels, is_text=True),
    "dataset_json": Format("dataset.json", _json(_DATASET), _read_record, is_text=True),
    "coco_panoptic": Format("panoptic_val.json", _json(_PANOPTIC), read_panoptic, is_text=True),
    "labelme": Format("a.json", _json(_LABELME), _layout("labelme", "a.jpg"), is_text=True),
    "coco_instances": Format(
        "instances_val.json",
        _json(_INSTANCES),
        _layout("coco_instances", "val/a.jpg", split="val"),
        is_text=True,
    ),
    "yolo_seg": Format(
        "a.txt",
        _text("0 0.1 0.2 0.5 0.6 0.3 0.9\n1 0.5 0.5 0.9 0.5 0.7 0.8\n"),
        _layout("yolo_seg", "images/a.jpg"),
        is_text=True,
    ),
    "cvat": Format("annotations.xml", _text(_CVAT), _layout("cvat", "images/a.jpg"), is_text=True),
    "colour_table": Format(
        "class_dict.csv",
        _text("name,r,g,b\nroad,128,64,128\ncar,64,0,128\n"),
        read_colour_table,
        is_text=True,
    ),
    "metrics": Format(
        "metrics.jsonl",
        _text(f"{json.dumps(_RECORD)}\n" * 3),
        lambda p: RunFolder(p.parent).history(),
        is_text=True,
    ),
    "run_json": Format(
        "run.json",
        _json({"data": {"train": "x"}, "epochs_done": 3}),
        lambda p: RunFolder(p.parent).read_facts(),
        is_text=True,
    ),
    "journal": Format(
        "inputs.jsonl", _by(_write_journal, "inputs.jsonl"), _read_journal, is_text=True
    ),
}


@cache
def sound(kind: str) -> bytes:
    """The bytes of a sound file."""
    return FORMATS[kind].make()
