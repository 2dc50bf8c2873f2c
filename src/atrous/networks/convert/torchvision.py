"""torchvision's classifiers: which network they are, and their tensors by our names.

Only names and shapes are read here; fetching and reading files is done elsewhere. torchvision feeds
GoogLeNet's and Inception v3's published weights images normalised with a mean and standard
deviation of 0.5 per channel (its `transform_input`), the others with those of ImageNet.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from atrous.errors import DataError
from atrous.networks.catalog import Argument
from atrous.networks.classifiers.resnet import RESNETS
from atrous.networks.classifiers.shufflenet_v2 import WIDTHS as SHUFFLENET_V2_WIDTHS
from atrous.networks.classifiers.vgg import DEPTHS
from atrous.networks.convert.torchvision_keys import (
    GOOGLENET,
    INCEPTION_V3,
    SHUFFLENET_V2,
    Rules,
    resnet_rules,
    vgg_rules,
)

_FIRST = {
    "vgg": "features.0.weight",
    "resnet": "layer1.0.conv1.weight",
    "googlenet": "inception3a.branch1.conv.weight",
    "inception": "Mixed_5b.branch1x1.conv.weight",
    "shufflenet": "stage2.0.branch2.0.weight",
}
"""A tensor that tells the family."""

_LAST = {"vgg": "classifier.6.weight"}  # of the others: fc.weight


def is_torchvision(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of one of the torchvision classifiers that we have too."""
    return _family(state) is not None


def convert_torchvision(
    state: Mapping[str, Tensor],
) -> tuple[str, dict[str, Argument], dict[str, Tensor]]:
    """Network name, factory arguments and tensors of a torchvision classifier.

    Depth, width, classes, channels and whether there are auxiliary heads are read from the tensors'
    names and shapes. Nothing in them tells where a bottleneck has its stride: torchvision's is on
    the 3x3, so the answer is `resnet50`, whose tensors fit `resnet50_v1` as well.

    Args:
        state: What `state_dict()` of torchvision's model gives.

    Returns:
        A name in the catalog, what to build it with, and what to load into it.

    Raises:
        DataError: If it is no such classifier, or of a width that the catalog does not have.
    """
    family = _family(state)
    if family == "vgg":
        name, rules, first = *_vgg(state), "features.0.weight"
    elif family == "resnet":
        name, rules, first = *_resnet_rules(state), "conv1.weight"
    elif family == "googlenet":
        name, rules, first = "googlenet_torchvision", GOOGLENET, "conv1.conv.weight"
    elif family == "inception":
        name, rules, first = "inception_v3", INCEPTION_V3, "Conv2d_1a_3x3.conv.weight"
    elif family == "shufflenet":
        name, rules, first = *_shufflenet(state), "conv1.0.weight"
    else:
        raise DataError(
            f"Found {len(state)} tensors, the first being {next(iter(state), None)!r}; expected a "
            f"torchvision VGG, ResNet, GoogLeNet, Inception v3 or ShuffleNet v2."
        )
    last = _LAST.get(family, "fc.weight")
    if missing := [key for key in (first, last) if key not in state]:
        raise DataError(f"The tensors look like {name} but lack {missing}; fetch the file again.")
    arguments: dict[str, Argument] = {
        "num_classes": state[last].shape[0],
        "in_channels": state[first].shape[1],
    }
    if family in {"googlenet", "inception"}:
        arguments["has_auxiliary"] = any(key.startswith("aux") for key in map(str.lower, state))
    return name, arguments, rename(state, rules, network=name)


def rename(state: Mapping[str, Tensor], rules: Rules, *, network: str) -> dict[str, Tensor]:
    """The same tensors under the names that the first matching rule gives.

    Old files lack the counters of batch normalisation; zeros stand in for them.

    Raises:
        DataError: If a name matches no rule.
    """
    compiled = [(re.compile(pattern), ours) for pattern, ours in rules]
    renamed = {}
    for key, tensor in state.items():
        match, ours = next(
            ((m, ours) for pattern, ours in compiled if (m := pattern.fullmatch(key))), (None, "")
        )
        if match is None:
            raise DataError(
                f"Found a tensor {key!r} that {network} has not; expected its tensors alone; is it "
                "another network?"
            )
        renamed[match.expand(ours)] = tensor
    for key in [key for key in renamed if key.endswith("running_var")]:
        counter = key.removesuffix("running_var") + "num_batches_tracked"
        renamed.setdefault(counter, renamed[key].new_zeros(()).long())
    return renamed


def _family(state: Mapping[str, Tensor]) -> str | None:
    for family, key in _FIRST.items():
        if key in state and _LAST.get(family, "fc.weight") in state:
            return family
    return None


def _vgg(state: Mapping[str, Tensor]) -> tuple[str, Rules]:
    num_convs = sum(
        key.startswith("features.") and tensor.dim() == 4 for key, tensor in state.items()
    )
    for depth, repeats in DEPTHS.items():
        if sum(repeats) == num_convs:
            has_norm = any(key.endswith("running_mean") for key in state)
            name = f"{depth}_bn" if has_norm else depth
            return name, vgg_rules(depth, has_norm=has_norm)
    known = _listing(sum(repeats) for repeats in DEPTHS.values())
    raise DataError(f"Found a VGG of {num_convs} convolutions; expected {known}.")


def _resnet_rules(state: Mapping[str, Tensor]) -> tuple[str, Rules]:
    name, has_bottleneck = resnet_of(state)
    return name, resnet_rules(has_bottleneck=has_bottleneck)


def resnet_of(state: Mapping[str, Tensor]) -> tuple[str, bool]:
    """Name in the catalog of the ResNet whose tensors these are, and whether it has bottlenecks.

    Raises:
        DataError: If the catalog has no such ResNet.
    """
    repeats = tuple(_num_blocks(state, f"layer{number}") for number in range(1, 5))
    has_bottleneck = "layer1.0.conv3.weight" in state
    inner = state.get("layer1.0.conv2.weight")
    for name, table in RESNETS.items():
        if table.repeats == repeats and table.has_bottleneck == has_bottleneck:
            if inner is None or tuple(inner.shape[:2]) != (64, 64):
                found = None if inner is None else tuple(inner.shape)
                raise DataError(
                    f"Found a ResNet whose first 3x3 convolution has weights {found}; expected 64 "
                    f"channels in one group: ResNeXt and wide ResNets are not in the catalog."
                )
            return name, has_bottleneck
    raise DataError(
        f"Found a ResNet of {repeats} blocks {'with' if has_bottleneck else 'without'} bottleneck; "
        f"expected one of {_listing(RESNETS)}."
    )


def _shufflenet(state: Mapping[str, Tensor]) -> tuple[str, Rules]:
    first = 2 * state["stage2.0.branch2.0.weight"].shape[0]
    for width, channels in SHUFFLENET_V2_WIDTHS.items():
        if channels[0] == first:
            return f"shufflenet_v2_{width}", SHUFFLENET_V2
    known = _listing(channels[0] for channels in SHUFFLENET_V2_WIDTHS.values())
    raise DataError(f"Found a ShuffleNet v2 of {first} channels in stage 2; expected {known}.")


def _num_blocks(state: Mapping[str, Tensor], stage: str) -> int:
    numbers = [int(key.split(".")[1]) for key in state if key.startswith(f"{stage}.")]
    return max(numbers, default=-1) + 1


def _listing(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
