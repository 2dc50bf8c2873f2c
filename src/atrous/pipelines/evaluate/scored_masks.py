"""What masks of images or slides come to by a protocol: a record for JSON, a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atrous.pipelines.evaluate.settings import percent, percents

if TYPE_CHECKING:
    from torch import Tensor

    from atrous.metrics.iou import Scores
    from atrous.metrics.topk_scores import LabelScores
    from atrous.networks.card import Card
    from atrous.reports.evaluation.masks_page import Example


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredMasks:
    """Scores of all masks together, with the interval of their mean IoU.

    Attributes:
        card: With the classes that are scored.
        matrices: `(N, K + 1, K)` int64: pixels by truth (the last row: unlabelled) and prediction,
            of each image or slide.
        scores: Of all of them.
        interval: Of the mean IoU, by resampling them; None where that makes no sense.
    """

    card: "Card"
    matrices: "Tensor"
    scores: "Scores"
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, matrices: "Sequence[Tensor]", *, card: "Card", protocol: str) -> "ScoredMasks":
        """Score matrices `(K + 1, K)`, one an image or slide, by a name in `PROTOCOLS`."""
        import torch

        from atrous.metrics.bootstrap import bootstrap_mean_iou
        from atrous.metrics.protocols import score

        stacked = torch.stack(list(matrices))
        void = card.void_class
        return cls(
            card=card,
            matrices=stacked,
            scores=score(stacked.sum(0), protocol=protocol, void_class=void),
            interval=bootstrap_mean_iou(stacked, protocol=protocol, void_class=void),
        )

    def record(self) -> dict[str, object]:
        """The result in percent, as docs/json.md promises it; what cannot be scored is None."""
        names = self.card.class_names
        return {
            "protocol": self.scores.protocol,
            "miou": percent(self.scores.mean_iou),
            "class_average_accuracy": percent(self.scores.mean_accuracy),
            "pixel_accuracy": percent(self.scores.pixel_accuracy),
            "frequency_weighted_iou": percent(self.scores.frequency_weighted_iou),
            "mean_dice": percent(self.scores.mean_dice),
            "iou": {
                name: percent(value)
                for name, value in zip(names, self.scores.class_iou, strict=True)
            },
            "averaged_classes": [names[index] for index in self.scores.averaged_classes],
            "images": len(self.matrices),
            "interval": {"miou": percents(self.interval)},
        }

    def page(
        self,
        *,
        best: "Sequence[Example]",
        worst: "Sequence[Example]",
        notes: Sequence[str],
        labels: "LabelScores | None" = None,
        unit: str = "images",
    ) -> str:
        """The page in HTML; arguments as of `evaluation_page`."""
        from atrous.pipelines.provenance import facts
        from atrous.reports.evaluation.masks_page import evaluation_page

        return evaluation_page(
            card=self.card,
            scores=self.scores,
            interval=self.interval,
            matrix=self.matrices.sum(0),
            num_images=len(self.matrices),
            best=best,
            worst=worst,
            facts=facts(),
            notes=notes,
            labels=labels,
            unit=unit,
        )
