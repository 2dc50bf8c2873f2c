"""Which numbers are published weights: told by what they are, whatever the file is called.

A score, classes and preprocessing are claimed for published numbers only. Those of the ESPNets'
authors are known by a hash of their tensors under our names, so that wrappers, prefixes and names
of files do not matter; those of torchvision by the hash that its own table gives each file.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from torch import Tensor

AUTHORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "2e64d3ad2a93cc8e": "espnet_p_2_q_3",
        "aed12229c1797fce": "espnet_p_2_q_8",
        "cb6d1b0afa35760b": "espnet_p_2_q_8_camvid",
        "f29937d1a4983496": "espnet_p_2_q_3",
        "5644cbc48a787bfb": "espnet_p_2_q_8",
        "71b173f1c3ec8110": "espnetv2_s_0.5_city_1024x512",
        "d69092901e205b21": "espnetv2_s_0.5_city_512x256",
        "f6f8b9e704ee1cf7": "espnetv2_s_0.5_pascal_256x256",
        "a888dcfcab7bc0a9": "espnetv2_s_0.5_pascal_384x384",
        "eeab2149a30100a2": "espnetv2_s_1.0_city_1024x512",
        "c11c6434e8c38083": "espnetv2_s_1.0_city_512x256",
        "2cf4aeed88effb05": "espnetv2_s_1.0_pascal_256x256",
        "761d8066f74407e4": "espnetv2_s_1.0_pascal_384x384",
        "be4300b2b0df7882": "espnetv2_s_2.0_city_1024x512",
        "0007c6fd5be16026": "espnetv2_s_2.0_city_512x256",
        "0e14c75b88f36b2e": "espnetv2_s_2.0_pascal_256x256",
        "ccf48c5985db4db8": "espnetv2_s_2.0_pascal_384x384",
        "a61c0f4a4deb4d51": "espnetv2_segmentation_s_0.5",
        "c4d241238e5bdb85": "espnetv2_segmentation_s_1.0",
        "26fbb640cdcd2929": "efficientnet-lite0-57934424",
        "6876c2d98b022496": "efficientnet-lite1-77cc7160",
        "9bfdc01677608432": "efficientnet-lite2-9656183e",
    }
)
"""Stem of the authors' file by `digest_of` its converted tensors."""

_THEIRS: Final[Mapping[str, str]] = MappingProxyType({"googlenet_torchvision": "googlenet"})
"""Where torchvision's name is not ours."""

_NOT_THEIRS: Final = ("googlenet",)
"""Ours is the paper's network, and torchvision's of that name is another."""

_HASH_LENGTH: Final = 8
"""Hexadecimal digits of a file's SHA-256 that torchvision puts at the end of its name."""


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and numbers of what is learned; counters are left out."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.is_floating_point():
            digest.update(repr((name, tuple(tensor.shape))).encode())
            digest.update(tensor.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@cache
def torchvision_weights(network: str) -> Mapping[str, Any]:
    """Torchvision's published weights of a network of ours, by their tag; empty if it has none."""
    from torchvision import models

    theirs = _THEIRS.get(network, network)
    if network in _NOT_THEIRS or theirs not in models.list_models(module=models):
        return {}
    return dict(models.get_model_weights(theirs).__members__)


def named_weights(network: str, path: Path) -> tuple[Any, bool] | None:
    """Torchvision's weights that a file is called as, or is.

    Returns:
        The weights, and whether the file has their bytes; None if it has neither name nor bytes.
    """
    known = torchvision_weights(network)
    if not known:
        return None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_LENGTH]
    for weights in known.values():
        if _hash_in_name(weights.url) == found:
            return weights, True
    called = [weights for weights in known.values() if _hash_in_name(weights.url) in path.name]
    return (called[0], False) if called else None


def _hash_in_name(url: str) -> str:
    """Of `resnet50-11ad3fa6.pth` the `11ad3fa6`."""
    return Path(url).stem.rpartition("-")[2]
