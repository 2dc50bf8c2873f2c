"""A published checkpoint into a network with its card."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from torch import Tensor

from atrous.errors import DataError, UnknownNameError
from atrous.networks.card import Card, Score
from atrous.networks.catalog import Argument, build_network, network_entry
from atrous.networks.checkpoint import read_checkpoint
from atrous.networks.convert_espnet import convert_espnet, is_espnet
from atrous.networks.espnet import DIVISOR
from atrous.networks.label_sets import LABEL_SETS, numbered_labels
from atrous.networks.preprocessing import Preprocessing
from atrous.networks.weights import Weights

Converted: TypeAlias = tuple[str, dict[str, Argument], dict[str, Tensor]]

_CONVERTERS: Final[
    tuple[
        tuple[Callable[[Mapping[str, Tensor]], bool], Callable[[Mapping[str, Tensor]], Converted]],
        ...,
    ]
] = ((is_espnet, convert_espnet),)

_ESPNET_PREPROCESSING: Final[Mapping[str, Preprocessing]] = MappingProxyType(
    {
        # Statistics of the 367 training images; the authors divide by 255 after normalising.
        "camvid": Preprocessing(
            channel_order="BGR",
            value_range=255.0,
            mean=(110.331055, 108.40889, 105.03322),
            std=(72.12569, 72.690765, 69.90434),
            final_scale=1 / 255,
        ),
        "cityscapes": Preprocessing(
            channel_order="BGR",
            value_range=255.0,
            mean=(72.3923111, 82.90893555, 73.15840149),
            std=(45.3192215, 46.15289307, 44.91483307),
            final_scale=1 / 255,
            size=(512, 1024),
        ),
    }
)
_DATA_BY_CLASSES: Final[Mapping[int, str]] = MappingProxyType({12: "camvid", 20: "cityscapes"})

# Of the largest published networks, which are the ones that the authors report.
_PUBLISHED: Final[Mapping[tuple[str, str, int], tuple[Score, ...]]] = MappingProxyType(
    {
        ("espnet", "camvid", 8): tuple(
            Score(
                dataset="camvid",
                split="test",
                protocol="camvid_published",
                metric=metric,
                value=value,
                source="ESPNet, authors' repository",
            )
            for metric, value in (("miou", 55.64), ("class_average_accuracy", 68.30))
        ),
        ("espnet", "cityscapes", 8): (
            Score(
                dataset="cityscapes",
                split="test",
                protocol="cityscapes",
                metric="miou",
                value=60.336,
                source="ESPNet, authors' repository",
            ),
        ),
    }
)


def convert_checkpoint(path: Path, *, data: str | None = None) -> Weights:
    """Read an authors' checkpoint and write its card from what the tensors show.

    Args:
        path: A `.pth` file of the authors of ESPNet.
        data: What it was trained on, `camvid` or `cityscapes`, which decides class names and
            preprocessing; None to tell by the number of classes.

    Raises:
        DataError: If the file is no checkpoint, of an unknown network, or of unknown data.
        UnknownNameError: If `data` is not one of the names.
    """
    state = read_checkpoint(path)
    for matches, converter in _CONVERTERS:
        if matches(state):
            name, arguments, tensors = converter(state)
            break
    else:
        raise DataError(
            f"{path} holds {len(state)} tensors of a network that is not known, the first being "
            f"{next(iter(state))!r}; expected an authors' ESPNet or ESPNet-C."
        )
    card = _espnet_card(path, name, arguments, data)
    network = build_network(name, arguments)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(f"{path} does not fit {name} {arguments}: {detail}") from error
    return Weights(network=network.eval(), card=card)


def _espnet_card(path: Path, name: str, arguments: dict[str, Argument], data: str | None) -> Card:
    num_classes, q = arguments["num_classes"], arguments["q"]
    assert isinstance(num_classes, int) and isinstance(q, int)  # noqa: PT018 - one fact
    if data is None:
        data = _DATA_BY_CLASSES.get(num_classes)
        if data is None:
            raise DataError(
                f"{path} has {num_classes} classes, so its training data is not known (12 would be "
                f"camvid, 20 cityscapes); name the preprocessing with --data camvid or cityscapes."
            )
    if data not in _ESPNET_PREPROCESSING:
        raise UnknownNameError("training data", data, _ESPNET_PREPROCESSING)
    labels = LABEL_SETS[data]
    if len(labels.names) != num_classes:
        labels = numbered_labels(num_classes)
    return Card(
        name=f"{name}.{data}_authors",
        network=name,
        arguments=arguments,
        task=network_entry(name).task,
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        preprocessing=_ESPNET_PREPROCESSING[data],
        divisor=DIVISOR,
        scores=_PUBLISHED.get((name, data, q), ()),
        source=f"the authors' checkpoint {path.name} (Mehta et al., ESPNet, ECCV 2018)",
        licence="see the authors' repository; this file is a conversion of theirs",
    )
