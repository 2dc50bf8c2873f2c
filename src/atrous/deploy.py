"""Run an exported file on a photo, with numpy, Pillow and ONNX Runtime alone.

`python -m atrous.deploy MODEL.onnx PHOTO [PHOTO …]` writes `PHOTO.mask.png` beside each photo, or
into `--out`, in the colours of the card; a classifier prints the likeliest class. The file must
hold its preprocessing and the choice of classes: `atrous export MODEL --to onnx --with
preprocessing,argmax`. This module imports nothing else of the package, so that it also stands as an
example of what a program of one's own has to do.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

KEY = "atrous"
"""Where in the file's metadata the facts lie, as JSON."""


def main() -> int:
    """Read the command line; 0 if all photos were run, 1 if some could not be, 2 if none."""
    parser = argparse.ArgumentParser(prog="python -m atrous.deploy", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="folder of the masks; beside the photos if none")
    arguments = parser.parse_args()
    try:
        session, facts = open_model(arguments.model)
    except ValueError as error:
        print(f"atrous.deploy: {error}", file=sys.stderr)
        return 2
    failed = 0
    for path in arguments.photos:
        try:
            print(run(session, facts, path, arguments.out))
        except (OSError, ValueError) as error:
            print(f"atrous.deploy: {path}: {error}", file=sys.stderr)
            failed += 1
    return int(failed > 0)


def open_model(path: Path) -> tuple[Any, dict[str, Any]]:
    """A session of ONNX Runtime and the facts of the file.

    Raises:
        ValueError: If it is no exported file that takes pixels and gives classes.
    """
    onnxruntime: Any = import_module("onnxruntime")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no class but this one
        raise ValueError(f"{path} cannot be run: {str(error).splitlines()[0]}") from error
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ValueError(f"{path} holds no card; expected a file that `atrous export` wrote")
    facts: dict[str, Any] = json.loads(text)
    if (facts["takes"], facts["gives"]) != ("pixels", "classes"):
        raise ValueError(
            f"{path} takes a {facts['takes']} and gives {facts['gives']}; expected pixels and "
            "classes; export it with --with preprocessing,argmax"
        )
    return session, facts


def run(session: Any, facts: dict[str, Any], path: Path, out: Path | None) -> str:  # noqa: ANN401
    """Run one photo; write its mask, if there is one, and say what was found."""
    with Image.open(path) as photo:
        pixels = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    found = session.run(None, {"image": pixels[np.newaxis]})
    card = facts["card"]
    said = []
    for output in found:
        if output.ndim == 1:  # of whole images
            names = card["label_names"] or card["class_names"]
            said.append(names[int(output[0])] if int(output[0]) < len(names) else str(output[0]))
            continue
        mask = Image.fromarray(output[0])
        mask.putpalette([channel for colour in card["palette"] for channel in colour])
        place = (out or path.parent) / f"{path.stem}.mask.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        mask.save(place)
        counts = np.bincount(output[0].ravel(), minlength=len(card["class_names"]))
        shares = zip(card["class_names"], counts / output[0].size, strict=False)
        said.append(", ".join(f"{name} {share:.1%}" for name, share in shares if share))
        said.append(f"mask in {place}")
    return f"{path.name}: {'; '.join(said)}"


if __name__ == "__main__":
    sys.exit(main())
