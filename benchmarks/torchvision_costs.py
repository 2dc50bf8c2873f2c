"""Parameters and MACs of torchvision's models beside what the metadata of their weights say.

Run: `python -m benchmarks.torchvision_costs [NAME …]`. Nothing is fetched: the metadata are in the
package, and models are built without weights. Sizes are those of the metadata. Auxiliary heads are
built as the metadata count them: GoogLeNet without, Inception v3 and the segmenters with.
"""

import sys

import torch
from torchvision import models
from torchvision.models._api import WeightsEnum

from atrous.analysis import profile

SEGMENTERS = ("deeplabv3", "fcn_", "lraspp")


def main() -> None:
    known = [
        *models.list_models(module=models),
        *models.list_models(module=models.segmentation),
    ]
    num_rows = num_equal = 0
    print(f"{'model':<30}{'weights':<26}{'size':>5}{'params':>13}{'GMACs':>10}{'metadata':>10}")
    for name in sys.argv[1:] or known:
        for weights in models.get_model_weights(name):
            if "_ops" not in weights.meta:
                continue
            size = input_size(weights)
            cost = profile(build(name, weights, size), (size, size))
            gmacs = round(cost.macs / 1e9, 3)
            is_equal = (cost.params, gmacs) == (weights.meta["num_params"], weights.meta["_ops"])
            num_rows, num_equal = num_rows + 1, num_equal + is_equal
            print(
                f"{name:<30}{weights.name:<26}{size:>5}{cost.params:>13,}{gmacs:>10.3f}"
                f"{weights.meta['_ops']:>10.3f}  {'equal' if is_equal else 'DIFFERS'}",
                flush=True,
            )
    print(f"{num_equal} of {num_rows} equal: parameters exactly, GMACs to 3 decimals")


def input_size(weights: WeightsEnum) -> int:
    """Length of the square that the weights' own preprocessing gives."""
    settings = weights.transforms.keywords
    return settings.get("crop_size") or settings["resize_size"]


def build(name: str, weights: WeightsEnum, size: int) -> torch.nn.Module:
    """The model with the heads that its metadata count, without weights where it can be."""
    arguments: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):
        arguments = {"aux_logits": name == "inception_v3", "init_weights": False}
    elif name.startswith("vit"):
        arguments = {"image_size": size}
    elif name.startswith(SEGMENTERS):
        arguments = {"num_classes": len(weights.meta["categories"]), "weights_backbone": None}
        if not name.startswith("lraspp"):
            arguments["aux_loss"] = True
    try:
        with torch.device("meta"):
            return models.get_model(name, weights=None, **arguments).eval()
    except RuntimeError:  # a constructor that computes, such as MaxViT's, needs real numbers
        return models.get_model(name, weights=None, **arguments).eval()


if __name__ == "__main__":
    main()
