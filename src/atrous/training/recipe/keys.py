"""Which keys of a recipe say nothing of some data, or of what a run gives."""

RUN_ONLY_KEYS = frozenset(
    {
        *("num_workers", "checkpoint_minutes", "tensorboard", "samples_every", "check_data"),
        *("cache", "patience"),
    }
)
"""Keys that a run may be resumed with other values of: they do not change what it gives."""

IMAGE_KEYS = frozenset(
    {
        "predict_size",
        "predict_shorter_side",
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
