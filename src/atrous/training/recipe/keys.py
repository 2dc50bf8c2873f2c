"""Which keys of a recipe say nothing of some data, or of what a run gives; and whom they follow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RUN_ONLY_KEYS = frozenset(
    {
        *("num_workers", "checkpoint_minutes", "tensorboard", "samples_every", "check_data"),
        *("cache", "patience", "name", "source", "licence", "protocol", "evaluate_every"),
        *("data", "train_subset", "val_subset", "val_split", "remap", "weights"),
    }
)
"""Keys that a run may be resumed with other values of: they do not change what its weights become.
Data and start weights may lie elsewhere; whether they are the same, their fingerprints tell."""

MEASURE_KEYS = frozenset({"protocol"})
"""Of these, those that change what a score means: the best weights are chosen anew after them."""

IMAGE_KEYS = frozenset(
    {
        "predict_size",
        "predict_shorter_side",
        "mean",
        "std",
        "channel_order",
        "value_range",
        "final_scale",
        "resize_filter",
        "preprocessing_steps",
        "aspect",
        "vertical_flip",
        "saturation",
        "hue",
        "grey",
        "stain",
        "stain_shift",
        "mpp",
        "patch_size",
        "patches_per_epoch",
        "mix",
    }
)
"""Keys that say nothing of volumes."""

VOLUME_KEYS = frozenset(
    {
        "channel_names",
        "crop",
        "clip_values",
        "normalise",
        "is_inside",
        "outside",
        "spacing",
        "interpolation",
        "working_sizes",
        "largest_only",
        "views_per_volume",
        "foreground",
        "elastic",
        "warp_probability",
        "flip_axes",
        "gamma",
        "bias_field",
        "modality_dropout",
        "regions",
        "inflate",
    }
)
"""Keys that say nothing of images."""

FOLLOWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "inflate": "Carreira and Zisserman, 2017 (I3D)",
        "mean": "torchvision's ImageNet statistics",
        "is_inside": "nnU-Net's use_mask_for_norm",
        "largest_only": "nnU-Net's postprocessing",
        "spacing": "nnU-Net's target spacing",
        "scale": "torchvision's RandomResizedCrop, with fit = area",
        "stain": "Tellez et al., 2018",
        "stain_shift": "Tellez et al., 2018",
        "blur": "Chen et al., 2020 (SimCLR), appendix A",
        "elastic": "Ronneberger et al., 2015 (U-Net)",
        "foreground": "nnU-Net's oversampling of foreground",
        "bias_field": "Sudre et al., 2017; TorchIO",
        "mix": "Yun et al., 2019 (CutMix); Olsson et al., 2021 (ClassMix)",
        "losses": "see `training.losses`, each with its source",
        "class_weights": "Paszke et al., 2016 (ENet); SegNet; ESPNet",
        "label_smoothing": "Szegedy et al., 2016, section 7",
        "auxiliary_weight": "Szegedy et al., 2015 (GoogLeNet); Zhao et al., 2017 (PSPNet)",
        "auxiliary_decay": "nnU-Net's deep supervision",
        "diagnosis_weight": "Mehta et al., 2018 (Y-Net)",
        "accumulate": "Gao et al., 2021, section 3.2",
        "schedule": "see `training.schedules`, each with its source",
        "warmup_epochs": "Goyal et al., 2017",
        "clip": "Pascanu et al., 2013",
        "ema": "Tarvainen and Valpola, 2017",
        "optimiser": "Loshchilov and Hutter, 2019 (AdamW); Kingma and Ba, 2015 (Adam)",
        "size_steps": "Howard, 2018 (progressive resizing)",
        "size_cycle": "ESPNetv2's multi-scale training",
        "protocol": "see `metrics.protocols`",
    }
)
"""Paper or tool that a key is from, by key."""
