"""What README and docs show runs as it stands there, on made data, and no warning reaches its user.

Warnings are errors in all tests; here stderr may not hold any either.
"""

import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.layouts.camvid import CAMVID_CLASSES
from atrous.data.synthetic.shapes import write_mask_folder
from atrous.data.synthetic.slides import write_slide_folder

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    *(
        f"docs/{n}.md"
        for n in ("analysis", "data", "segmentation", "slides", "synthetic", "volumes")
    ),
)
"""Those with Python of ours; that of docs/deploy.md is onnxruntime's alone."""

GIVEN = {
    "docs/slides.md": (
        "import torch, atrous\nsegmenter = atrous.create('espnet', p=1, q=1)\n"
        "card, image = atrous.load('people').card, torch.rand(1, 3, 600, 700)\n"
        "size = (600, 700)\n"
    ),
}
"""What a page's prose has before its code."""

MADE = {
    "espnet_p_2_q_8_camvid.pth": "made.pth",
    "../shared/data/people_varied": "photos/train",
    "../shared/data/people": "photos/train",
    "../shared/data/hippocampus": "scans",
    "tissue.safetensors": "espnet-camvid.safetensors",
    "slides/*.svs": "slides/images",
    "3x512x1024": "3x64x128",
    "3x512x512": "3x64x64",
    "docs/images/": "",
}
"""Names of data and weights that are not part of the project, sizes, and what stands for them."""

MORE = {
    "convert": ["--class-names", ",".join((*CAMVID_CLASSES, "Unlabelled"))],
    "train": ["--set", "epochs=1", "--set", "size=[64,64]", "--set", "num_workers=0"],
}
"""What made weights and data want said besides."""


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    """A folder with everything that README and docs name."""
    monkeypatch.chdir(tmp_path)
    for split, seed in (("train", 0), ("val", 1)):
        folder = Path("photos") / split
        write_mask_folder(
            folder, num_images=16 if split == "train" else 4, size=(96, 128), seed=seed
        )
        for mask in (folder / "masks").iterdir():  # background and one more, as of people
            Image.fromarray(np.asarray(Image.open(mask)).clip(max=1)).save(mask)
        for part, target in (("images", split), ("masks", f"{split}annot")):
            Path("CamVid", target).mkdir(parents=True)
            for index, file in enumerate(sorted((folder / part).iterdir())):
                Path("CamVid", target, f"{index}.png").write_bytes(file.read_bytes())
        for kind in ("n01440764", "n02102040"):
            Path("imagenette", split, kind).mkdir(parents=True)
            image = Image.open(next((folder / "images").iterdir())).convert("RGB")
            image.save(f"imagenette/{split}/{kind}/{kind}_{split}.jpg")
    names = [file.stem for file in sorted(Path("photos/train/images").iterdir())]
    Path("some.txt").write_text("\n".join(names[:2]))
    for name in ("photo.jpg", "photos/one.jpg"):
        image.resize((64, 80)).save(name)
    write_slide_folder("slides", num_slides=1, size=(600, 700), seed=0, mpp=(1.0, 1.0))
    Path("slide.svs").write_bytes(next(Path("slides/images").iterdir()).read_bytes())
    rng = np.random.default_rng(0)
    for folder in ("scans/images", "scans/labels"):
        Path(folder).mkdir(parents=True)
    labels = np.zeros((34, 50, 36), np.uint8)
    labels[10:20, 10:25, 10:20], labels[10:20, 25:40, 10:20] = 1, 2
    values = (rng.normal(100, 10, labels.shape) + 30 * (labels > 0)).astype(np.float32)
    for file, array in (
        ("scans/images/a.nii.gz", values),
        ("scans/labels/a.nii.gz", labels),
        ("hippocampus_338.nii.gz", values),
        ("case_flair.nii.gz", values),
        ("case_t1.nii.gz", values),
        ("case_seg.nii.gz", labels),
    ):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), file)
    Path("mine.py").write_text(
        "import torch\n\n\ndef make():\n    return torch.nn.Conv2d(3, 8, 3)\n"
    )
    torch.manual_seed(0)
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=12)
    torch.save(theirs.state_dict(), "made.pth")


def commands(page: str) -> list[str]:
    """Those of a page that begin a line, without what it says behind them."""
    found = re.findall(r"^\$ atrous (.*?)(?:\s{3,}.*)?$", (ROOT / page).read_text(), re.MULTILINE)
    return [re.sub(r" --subset recipe:\S+", "", line) for line in found]


def arguments(line: str) -> list[str]:
    for name, made in MADE.items():
        line = line.replace(name, made)
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', line)]


@pytest.mark.slow  # thirty commands
def test_the_readmes_commands_and_python_run_without_a_warning(atrous, capsys, recwarn):
    lines = commands("README.md")
    assert len(lines) > 20
    for line in lines:
        words = arguments(line)
        words += MORE.get(words[0], [])
        code, _, err = atrous(*words)
        assert code == 0, f"{line}: {err}"
        assert "Warning" not in err, f"{line}: {err}"
    shutil.rmtree("runs")  # its Python trains another way there
    run_page("README.md")
    assert "Warning" not in capsys.readouterr().err
    assert not recwarn.list


def run_page(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    names: dict[str, object] = {"__name__": "documented"}
    exec(GIVEN.get(page, ""), names)  # noqa: S102 - the page's own code
    for block in blocks:
        exec(block, names)  # noqa: S102


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[1:])
def test_the_docs_python_runs_without_a_warning(page, atrous, capsys):
    assert atrous("convert", "made.pth", "--to", "espnet-camvid.safetensors")[0] == 0
    run_page(page)
    assert "Warning" not in capsys.readouterr().err
