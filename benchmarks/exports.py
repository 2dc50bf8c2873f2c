"""Every network of the catalog in every format of export, beside the network itself.

python -m benchmarks.exports [NAME …] [--formats onnx,openvino]

For each network (seeded random weights, norms fitted to noise; the shipped models as they are): the
largest difference of logits as a share of the largest logit, and the share of equal classes, of the
certificate's inputs at its sizes. What a format refuses is named with its reason. Exit code 1 if
anything was refused or answers otherwise.
"""

import argparse
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from atrous.errors import AtrousError
from atrous.inference.load import load, model_of
from atrous.inference.model import Model
from atrous.networks.card import Card
from atrous.networks.catalog import NETWORKS, build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.shipped import SHIPPED
from atrous.pipelines.export import FORMATS, Format, UnequalError, export
from atrous.runtimes.certificate import Certificate

NUM_CLASSES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One network in one format.

    Attributes:
        certificate: How they compare; None where the format refused it.
        refusal: Why it was refused; empty if it was not.
    """

    certificate: Certificate | None
    refusal: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether the certificate is met, and every class is the same."""
        found = self.certificate
        return found is not None and found.is_met and found.equal == 1


def main() -> int:
    """Print a table in Markdown; 0 if every network answers alike in every format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*NETWORKS, *sorted(SHIPPED)])
    parser.add_argument("--formats", default="onnx,openvino")
    arguments = parser.parse_args()
    formats: list[Format] = [each for each in FORMATS if each in arguments.formats.split(",")]
    warnings.simplefilter("ignore")  # torch's exporter deprecates parts of itself
    print("| network | format | largest difference | classes equal | refused |")
    print("|---|---|---|---|---|")
    failed = 0
    for name in arguments.names:
        model = model_named(name)
        for to in formats:
            found = compared(model, to)
            failed += not found.is_equal
            difference = equal = ""
            if found.certificate is not None:
                difference = f"{found.certificate.largest:.1e}"
                equal = f"{found.certificate.equal:.4%}"
            print(f"| {name} | {to} | {difference} | {equal} | {found.refusal} |", flush=True)
    return int(failed > 0)


def compared(model: Model, to: Format) -> Result:
    """The model exported beside itself; nothing is kept."""
    with tempfile.TemporaryDirectory() as folder:
        suffix = {"onnx": ".onnx", "openvino": ".xml", "pt2": ".pt2"}[to]
        try:
            done = export(model, to, Path(folder) / f"graph{suffix}")
        except UnequalError as error:
            return Result(certificate=error.certificate)
        except AtrousError as error:
            return Result(certificate=None, refusal=str(error).replace("|", "/"))
        return Result(certificate=done.certificate)


def model_named(name: str) -> Model:
    """A shipped model, or a network of the catalog with seeded weights and fitted norms."""
    if name in SHIPPED:
        return load(name)
    entry = NETWORKS[name]
    is_volume = len(entry.size) == 3
    channels = ("first", "second") if is_volume else ("red", "green", "blue")
    arguments = {"num_classes": NUM_CLASSES, "in_channels": len(channels)}
    with torch.random.fork_rng():
        torch.manual_seed(sum(map(ord, name)))
        network = build_network(name, arguments)
        size = (48,) * 3 if is_volume else (320, 320)  # inception_v3 takes no less than 299
        with torch.no_grad():
            network.train()(torch.randn(2, len(channels), *size))
    card = Card(
        name=f"{name}.random",
        network=name,
        arguments=arguments,
        task=entry.task,
        class_names=tuple(f"class {index}" for index in range(NUM_CLASSES)),
        palette=tuple((index, index, index) for index in range(NUM_CLASSES)),
        preprocessing=Preprocessing(mean=(0.5,) * len(channels), std=(0.25,) * len(channels)),
        volume=VolumeSpec(channel_names=channels) if is_volume else None,
    )
    return model_of(network, card)


if __name__ == "__main__":
    sys.exit(main())
