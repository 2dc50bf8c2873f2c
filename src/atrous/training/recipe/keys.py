"""Which keys of a recipe say nothing of some data, or of what a run gives."""

RUN_ONLY_KEYS = frozenset(
    {
        *("num_workers", "checkpoint_minutes", "tensorboard", "samples_every", "check_data"),
        *("cache", "name", "source", "licence", "protocol", "evaluate_every"),
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
