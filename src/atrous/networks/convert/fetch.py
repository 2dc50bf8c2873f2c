"""Published weights by name: of an installed package, or fetched by torchvision's own loader."""

import os
from pathlib import Path
from urllib.error import URLError

from atrous._files import make_folder
from atrous.errors import DataError, UnknownNameError
from atrous.networks.catalog import build_network, network_entry
from atrous.networks.convert.classifier_card import published_card
from atrous.networks.convert.packages import PACKAGES, package_weights
from atrous.networks.convert.published import torchvision_weights
from atrous.networks.convert.torchvision import convert_torchvision
from atrous.networks.weights import save_weights


def fetch_weights(network: str, source: str, *, cache: Path | None = None) -> Path:
    """The file with a network's published weights; fetched and converted if it is not there.

    Args:
        network: A name of the catalog.
        source: `torchvision:TAG`, such as `torchvision:IMAGENET1K_V2`; `imagenet` for the weights
            of the installed package that has them, else for torchvision's newest.
        cache: Folder to keep the file in; None for the user's own.

    Raises:
        UnknownNameError: If the network, the source or the tag is not known.
        DataError: If torchvision has no weights for it, or they cannot be fetched or read.
        MissingExtraError: If they lie in a package that is not installed.
    """
    network_entry(network)
    if source == "imagenet" and network not in PACKAGES:
        source = "torchvision:DEFAULT"  # an alias of the newest
    library, separator, tag = source.partition(":")
    if source != "imagenet" and (library != "torchvision" or not separator):
        known_sources = ["imagenet", "torchvision:IMAGENET1K_V1"]
        raise UnknownNameError("source of weights", source, known_sources)
    folder = cache or cache_folder()
    path = folder / f"{network}-{library}{separator and '-'}{tag}.safetensors"
    if path.is_file():
        return path
    make_folder(folder)
    if source == "imagenet":
        weights = package_weights(network)
        save_weights(path, weights.network, weights.card)
        return path
    return _fetch_torchvision(network, tag, path)


def _fetch_torchvision(network: str, tag: str, path: Path) -> Path:
    known = torchvision_weights(network)
    if not known:
        raise DataError(
            f"torchvision has no weights for {network}; it has some for VGG, ResNet, "
            f"googlenet_torchvision, Inception v3 and ShuffleNet v2."
        )
    if tag not in known:
        raise UnknownNameError(f"torchvision weights of {network}", tag, known)
    weights = known[tag]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, URLError, RuntimeError) as error:
        raise DataError(
            f"{weights.url} could not be fetched ({error}); fetch it where there is a network, and "
            f"run: atrous convert {Path(weights.url).name} --to {path.name}"
        ) from error
    name, arguments, tensors = convert_torchvision(state)
    model = build_network(name, arguments)
    model.load_state_dict(tensors)
    save_weights(path, model, published_card(name, arguments, weights))
    return path


def cache_folder() -> Path:
    """Where users' caches lie: `XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atrous"
