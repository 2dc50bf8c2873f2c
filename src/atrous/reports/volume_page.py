"""One segmented scan as a self-contained page that scrolls through its slices."""

from collections.abc import Mapping, Sequence

from atrous.networks.card import Card
from atrous.reports.page import render
from atrous.reports.volume_viewer import ShownCase, viewer


def volume_page(
    case: ShownCase, *, card: Card, channel_names: Sequence[str], facts: Mapping[str, str]
) -> str:
    """HTML of less than 5 MB: three planes, layers of labels, truth and errors, volumes in ml.

    Args:
        case: The scan and its labels.
        card: Of the network.
        channel_names: Of the scan.
        facts: What traces it: command, versions, machine.
    """
    size = " x ".join(map(str, case.labels.shape))
    spacing = " x ".join(f"{step:.3g}" for step in case.spacing)
    return render(
        "volume.html",
        title=case.name,
        subtitle=f"Segmented by {card.name}; {size} voxels of {spacing} mm (D x H x W). The "
        "patient's left is on the left.",
        case=viewer(
            case,
            channel_names=channel_names,
            class_names=card.class_names,
            palette=card.palette,
        ),
        facts=facts,
    )
