"""What all tests share: seed, threads, the shared data, and the command in this process."""

import os
import random
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import is_hypothesis_test, settings

# How long an example takes says something of the machine, not of the code: no deadlines. The fast
# tier tries the same examples at every run; the real tier's search (--hypothesis-profile=random)
# tries others each time and says from which seed.
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("same")
RANDOM_SEARCH_FACTOR = 4
"""How many times as many examples the random search tries as the fast tier."""

collect_ignore_glob = ["analysis/fuzz/*", "fuzz/[!t]*"]
"""Modules that tests import: looked through for doctests they would be imported again under another
name, and their operators registered twice, of which torch would call those that are gone."""

REPOSITORY = Path(__file__).resolve().parent.parent


def _is_random_search(config: pytest.Config) -> bool:
    return config.getoption("--hypothesis-profile") == "random"


def pytest_configure(config: pytest.Config) -> None:
    if _is_random_search(config) and config.option.hypothesis_seed is None:
        # Worker processes are handed the options after this, so that all search from one seed.
        config.option.hypothesis_seed = secrets.randbelow(2**32)


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not _is_random_search(config):
        return []
    return [f"random search: again with --hypothesis-seed={config.option.hypothesis_seed}"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    # At the end too, since -q leaves out the header.
    for line in pytest_report_header(config):
        terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the property tests, and have the random search try more examples of each."""
    for item in items:
        function = getattr(item, "obj", None)
        if not is_hypothesis_test(function):
            continue
        item.add_marker(pytest.mark.property)
        if _is_random_search(config):
            known = getattr(function, "_hypothesis_internal_use_settings", settings.default)
            factor = RANDOM_SEARCH_FACTOR
            # Set anew on the function, since a decorator's number comes before the profile's.
            more = settings(known, max_examples=factor * known.max_examples)
            target = getattr(function, "__func__", function)
            target._hypothesis_internal_use_settings = more


@pytest.fixture(autouse=True)
def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what is seeded is the generator that others may use
    torch.manual_seed(0)


MOST_MEMORY = 16 * 2**30
"""Address space of a test process, in bytes."""


@pytest.fixture(autouse=True, scope="session")
def _memory() -> None:
    # A test that would eat the machine fails, where the system's killer would end the whole run.
    if sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, most))


@pytest.fixture(scope="session")
def search_seed(pytestconfig: pytest.Config) -> int:
    """What a random search starts from: the seed that the report names, 0 in the fast tier."""
    return int(pytestconfig.option.hypothesis_seed or 0)


@pytest.fixture(autouse=True, scope="session")
def _threads() -> None:
    # The tests run one process a core: more threads in each would only wait for each other.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and reference vectors, which is no part of the project."""
    folder = Path(os.environ.get("ATROUS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "reference" / "MANIFEST.json").is_file():
        message = f"{folder} holds no shared data; set ATROUS_SHARED to the folder that does"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def atrous(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; gives exit code, stdout and stderr."""
    from atrous.cli.main import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["atrous", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file with card: the smallest ESPNet, four classes, random and seeded."""
    from atrous.networks.card import Card
    from atrous.networks.catalog import build_network
    from atrous.networks.preprocessing.images import Preprocessing
    from atrous.networks.weights import save_weights

    arguments = {"num_classes": 4, "p": 1, "q": 1}
    card = Card(
        name="espnet.tiny",
        network="espnet",
        arguments=arguments,
        task="segmentation",
        class_names=("background", "disc", "square", "stripe"),
        palette=((128, 64, 0), (0, 128, 255), (255, 0, 0), (0, 160, 0)),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        divisor=8,
    )
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_weights(path, build_network("espnet", arguments), card)
    return path


@pytest.fixture(scope="session")
def volume_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file with card for volumes of one channel: small, and each of three classes is said
    somewhere.
    """
    from atrous.networks.card import Card
    from atrous.networks.catalog import build_network
    from atrous.networks.preprocessing.images import Preprocessing
    from atrous.networks.preprocessing.volume_spec import VolumeSpec
    from atrous.networks.weights import save_weights

    arguments = {"in_channels": 1, "width": 2, "num_stages": 2, "num_classes": 3}
    card = Card(
        name="residual_unet.tiny",
        network="residual_unet",
        arguments=arguments,
        task="segmentation",
        class_names=("background", "one", "two"),
        palette=((0, 0, 0), (255, 0, 0), (0, 255, 0)),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
        volume=VolumeSpec(channel_names=("t1",), window=(16, 16, 16)),
    )
    path = tmp_path_factory.mktemp("weights") / "volumes.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build_network("residual_unet", arguments).eval()
        with torch.no_grad():
            mean = network(torch.randn(1, 1, 26, 30, 37)).mean((0, 2, 3, 4))
            network.decoder.head.bias -= mean
        save_weights(path, network, card)
    return path


@pytest.fixture(scope="session")
def smooth_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file with card whose masks are smooth, as trained ones are: few regions."""
    from atrous.networks.card import Card
    from atrous.networks.catalog import build_network
    from atrous.networks.preprocessing.images import Preprocessing
    from atrous.networks.weights import save_weights

    arguments = {"encoder": "shufflenet_v2_x0_5", "num_classes": 4}
    card = Card(
        name="vanilla.tiny",
        network="vanilla",
        arguments=arguments,
        task="segmentation",
        class_names=("background", "disc", "square", "stripe"),
        palette=((128, 64, 0), (0, 128, 255), (255, 0, 0), (0, 160, 0)),
        preprocessing=Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
    )
    path = tmp_path_factory.mktemp("weights") / "vanilla.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build_network("vanilla", arguments).eval()
        with torch.no_grad():  # as sure of itself as a trained one
            spread = network(torch.randn(1, 3, 256, 256)).std((0, 2, 3))
            network.decoder.head.weight.mul_(3 / spread[:, None, None, None])
        save_weights(path, network, card)
    return path
