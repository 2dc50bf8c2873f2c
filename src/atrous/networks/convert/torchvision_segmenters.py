"""torchvision's FCN, DeepLabv3 and LR-ASPP: their tensors by our names."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from atrous.errors import DataError
from atrous.networks.catalog import Argument, build_network
from atrous.networks.convert.torchvision import rename, resnet_of
from atrous.networks.convert.torchvision_keys import resnet_rules

_AUXILIARY = "aux_classifier."


def is_torchvision_segmenter(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of a segmenter of torchvision that we have too."""
    return _name(state) is not None


def convert_torchvision_segmenter(
    state: Mapping[str, Tensor],
) -> tuple[str, dict[str, Argument], dict[str, Tensor]]:
    """Network name, factory arguments and tensors of a segmenter of torchvision.

    Raises:
        DataError: If it stands on a backbone that ours does not, or a tensor is missing or unknown.
    """
    name = _name(state)
    if name is None:
        raise DataError("These are no tensors of torchvision's FCN, DeepLabv3 or LR-ASPP.")
    last = "classifier.high_classifier.weight" if name == "lraspp" else "classifier.4.weight"
    arguments: dict[str, Argument] = {"num_classes": state[last].shape[0]}
    if name == "lraspp":
        return name, arguments, _matched(state, _lraspp(), _built(name, arguments))
    backbone = {
        key.removeprefix("backbone."): tensor
        for key, tensor in state.items()
        if key.startswith("backbone.")
    }
    encoder, _ = resnet_of(backbone)
    if encoder not in ("resnet50", "resnet101"):
        raise DataError(f"Found torchvision's {name} over {encoder}; expected resnet50 or 101.")
    arguments |= {
        "encoder": encoder,
        "has_auxiliary": any(key.startswith(_AUXILIARY) for key in state),
    }
    ours = _built(name, arguments)
    tensors = rename(backbone, resnet_rules(has_bottleneck=True), network=encoder)
    heads = {key: tensor for key, tensor in state.items() if not key.startswith("backbone.")}
    return name, arguments, tensors | _matched(heads, _heads(name, arguments), ours)


def _name(state: Mapping[str, Tensor]) -> str | None:
    if "backbone.0.0.weight" in state and "classifier.cbr.0.weight" in state:
        return "lraspp"
    if "backbone.layer1.0.conv1.weight" not in state or "classifier.4.weight" not in state:
        return None
    return "deeplabv3" if "classifier.0.convs.0.0.weight" in state else "fcn"


def _built(name: str, arguments: Mapping[str, Argument]) -> list[str]:
    with torch.device("meta"):
        return list(build_network(name, arguments).state_dict())


def _lraspp() -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    with torch.device("meta"):
        return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)


def _heads(name: str, arguments: Mapping[str, Argument]) -> nn.Module:
    from torchvision.models import segmentation

    with torch.device("meta"):
        whole = getattr(segmentation, f"{name}_resnet50")(
            weights=None, weights_backbone=None, aux_loss=bool(arguments["has_auxiliary"])
        )
    del whole.backbone
    found: nn.Module = whole
    return found


def _matched(state: Mapping[str, Tensor], theirs: nn.Module, ours: list[str]) -> dict[str, Tensor]:
    """Tensors by our names: both list theirs in the order in which the parts are built.

    Raises:
        DataError: If the file lacks one of theirs, or has others.
    """
    names = list(theirs.state_dict())
    if set(names) != set(state):
        apart = sorted(set(names) ^ set(state))
        raise DataError(
            f"The tensors look like a segmenter of torchvision, but {apart[0]!r} is missing or "
            "unknown; expected its state dict; is it another version?"
        )
    return dict(zip(ours[-len(names) :], (state[name] for name in names), strict=True))
