"""What a training run is made of: one flat, typed record, checked before anything is read.

A recipe file is TOML with the keys of `Recipe` and nothing else: no sections, no inheritance. Two
recipes that differ in one number differ in one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from atrous.errors import DataError
from atrous.networks.preprocessing.volume_spec import Crop, Interpolate, Normalise, Outside

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
OptimiserName: TypeAlias = Literal["adamw", "adam", "sgd"]
Mix: TypeAlias = Literal["none", "cutmix", "classmix"]
Inflate: TypeAlias = Literal["none", "mean", "centre"]
RecipeValue: TypeAlias = str | int | float | bool | None

_EMPTY: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what a training gives; the machine decides only how fast.

    Example:
        >>> recipe = Recipe(
        ...     name="espnet.shapes", network="espnet", layout="mask_folder", data=("shapes",),
        ...     num_classes=4, epochs=2, batch_size=4, learning_rate=1e-3,
        ... )
        >>> recipe.losses
        mappingproxy({'cross_entropy': 1.0})
    """

    # What is trained
    name: str
    """Of the weights: `network.data_recipe`, as in `espnet.people`."""
    network: str
    """A name of `atrous networks`."""
    network_arguments: Mapping[str, RecipeValue] = field(default_factory=dict)
    """Of the network's factory, but `num_classes` and `num_labels`, which the data decides."""
    weights: str | None = None
    """A weights file, or the name of a shipped model, that training starts from."""
    replace_head: bool = False
    """Take from `weights` every tensor whose name and shape fit, and start the others anew. For
    other classes (fine-tuning), and to start a network from its trained encoder."""
    inflate: Inflate = "none"
    """How `weights` of a network for images become those of its form for volumes: the kernels'
    slices `mean`, equal, or `centre`, all in the middle one, see `networks.convert.inflate`."""

    # The data
    layout: str
    """A name of `data.catalog.LAYOUTS`."""
    data: tuple[str, ...]
    """Folders of this layout, from where the command runs; their samples are put together."""
    num_classes: int | None = None
    """For layouts that do not know it."""
    class_names: tuple[str, ...] = ()
    """For layouts that do not know them; empty for `class 0` and so on."""
    train_split: str | None = None
    val_split: str | None = None
    train_subset: tuple[str, ...] = ()
    """One list of sample names for each folder, from the recipe's own folder; empty for all."""
    val_subset: tuple[str, ...] = ()
    remap: str | None = None
    """A class map that renames, merges or drops the data's classes: a file in the recipe's folder,
    or the name of one of the package's."""
    mpp: float | None = None
    """Micrometres per pixel at which slides are read; of other images what their pixels are, for
    the card."""
    patch_size: tuple[int, int] | None = None
    """Size `(H, W)` of the patches drawn from slides, which views are cut out of; None for `size`.
    Validation reads patches of 512 x 512."""
    patches_per_epoch: int | None = None
    """Of slides; None for as many as cover their tissue."""
    limit: int | None = None
    """Train on the first so many samples only."""
    cache: bool = True
    """Keep decoded images in memory."""
    check_data: bool = True
    """Read every sample before training, and stop with a list if any cannot be used."""

    # What the network is fed
    predict_size: tuple[int, ...] | None = None
    """Size `(H, W)` that images are resized to when the network is used; None for their own."""
    predict_shorter_side: int | None = None
    """Length of the shorter side before the middle of `predict_size` is cut out, for classifiers;
    None to resize whatever the aspect."""
    mean: tuple[float, ...] | None = None
    """Mean of RGB in [0, 1], taken off each pixel; None for all preprocessing of the card of
    `weights` (mean, std, channel order, range, size), or for ImageNet's mean without such."""
    std: tuple[float, ...] | None = None
    """Standard deviation of RGB in [0, 1] that each pixel is divided by; None as for `mean`."""

    # What a network of volumes is fed, see `networks.preprocessing.volume_spec.VolumeSpec`
    channel_names: tuple[str, ...] = ()
    """Of the scans' channels, in order; empty for what the layout says, or numbers."""
    crop: Crop = "none"
    clip_values: tuple[float, float] | None = None
    normalise: Normalise = "z_score"
    is_inside: bool = False
    outside: Outside = "zero"
    spacing: tuple[float, float, float] | None = None
    interpolation: Interpolate = "linear"
    working_sizes: tuple[tuple[int, int, int], ...] = ()
    largest_only: tuple[str, ...] = ()

    # Augmentation, see `data.augment.photos.Augmentation`
    size: tuple[int, int] | tuple[int, int, int] | None = None
    """Size `(H, W)`, of volumes `(D, H, W)`, of what training sees; None for the samples' own,
    which must then be equal."""
    size_steps: tuple[tuple[float, int, int] | tuple[float, int, int, int], ...] = ()
    """Other sizes for a while: `[share, H, W]` is in force until that share of the epochs."""
    size_cycle: tuple[tuple[int, int] | tuple[int, int, int], ...] = ()
    """Sizes in turn, one an epoch, instead of `size`, after all of `size_steps`."""
    fit: str = "own"
    scale: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    flip: float = 0.5
    """Of volumes for each of `flip_axes`."""
    vertical_flip: float = 0.0
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    stain: float = 0.0
    stain_shift: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    # Of volumes only, see `data.augment.volumes.VolumeAugmentation`
    views_per_volume: int = 1
    """How often an epoch sees each volume, each time another part or view of it."""
    foreground: float = 0.0
    elastic: float = 0.0
    warp_probability: float = 1.0
    flip_axes: tuple[int, ...] = (0, 1, 2)
    gamma: float = 0.0
    bias_field: float = 0.0
    modality_dropout: float = 0.0
    mix: Mix = "none"
    mix_probability: float = 0.5

    # The objective
    losses: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"cross_entropy": 1.0})
    )
    """Factor of every loss by name, see `training.losses.catalog`."""
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of classes that belong together, such as all parts of a tumour: `region_dice` learns
    them, and validation measures them instead of the classes."""
    class_weights: str = "none"
    """`none`, `enet`, `espnet` or `median_frequency`, from the training data."""
    label_smoothing: float = 0.0
    """Of classifiers."""
    auxiliary_weight: float = 0.0
    """Factor of the auxiliary heads' losses; above 0 only for networks that have such heads."""
    auxiliary_decay: float = 1.0
    """Factor from each auxiliary head to the next, which are ordered from the finest on."""
    diagnosis_weight: float = 1.0
    """Factor of the labels' cross-entropy, of networks that give masks and labels."""

    # Optimisation
    epochs: int
    batch_size: int
    """Of one step, over all processes."""
    accumulate: int = 1
    """Parts that a batch is run in, one after the other, where it does not fit in memory whole."""
    optimiser: OptimiserName = "adamw"
    learning_rate: float
    learning_rate_factors: Mapping[str, float] = field(default_factory=dict)
    """Factor by the start of a parameter's name, such as `{ encoder = 0.1 }`; 0 freezes it."""
    weight_decay: float = 1e-4
    """Of tensors of two axes or more: not of biases, norms and slopes."""
    momentum: float = 0.9
    """Of `sgd`; the first beta of the others."""
    schedule: str = "cosine"
    """A name of `training.schedules.SCHEDULES`."""
    warmup_epochs: float = 0.0
    clip: float | None = None
    """Largest norm of all gradients together."""
    ema: float | None = None
    """Decay of the moving average of the weights, which is then what is evaluated and kept."""
    freeze_batch_norm: bool = False
    """Keep the running statistics and use them in training."""
    sync_batch_norm: bool = False
    """Share batch statistics between processes; torch has this for GPUs only."""
    precision: Precision = "float32"
    compile: bool = False
    """Let `torch.compile` fuse the network: a minute or more at first, then faster steps."""
    seed: int = 0
    num_threads: int | None = None
    """Of this process on a CPU; None for one a core. On small maps one is as fast as two and leaves
    a core to `num_workers`. Other numbers round sums otherwise."""

    # Evaluation
    protocol: str = "void_ignored"
    evaluate_every: int = 1
    """Epochs between evaluations; the last one is always evaluated."""
    patience: int | None = None
    """Evaluations without a better score after which training ends early; None for never. The
    schedule is that of all epochs."""
    samples_every: int = 0
    """Evaluations between sheets of sample predictions; 0 for none but the last."""

    # What does not change the result
    num_workers: int = 0
    """Processes that read and augment ahead; on few cores 0 is as fast."""
    checkpoint_minutes: float = 5.0
    """Between checkpoints, besides one at the end of every evaluated epoch."""
    tensorboard: bool = False
    """Also write TensorBoard's event files, if it is installed."""
    source: str = ""
    """Where the data is from, for the card."""
    licence: str = ""
    """What the data's licence asks of the weights, for the card."""

    def __post_init__(self) -> None:
        problems = {
            f"epochs = {self.epochs}, expected at least 1": self.epochs < 1,
            f"batch_size = {self.batch_size}, expected at least 1": self.batch_size < 1,
            f"accumulate = {self.accumulate}, expected 1 up to batch_size": not (
                1 <= self.accumulate <= self.batch_size
            ),
            f"learning_rate = {self.learning_rate}, expected above 0": not self.learning_rate > 0,
            f"evaluate_every = {self.evaluate_every}, expected at least 1": self.evaluate_every < 1,
            f"patience = {self.patience}, expected at least 1": self.patience is not None
            and self.patience < 1,
            f"ema = {self.ema}, expected between 0 and 1": self.ema is not None
            and not 0 < self.ema < 1,
            f"clip = {self.clip}, expected above 0": self.clip is not None and not self.clip > 0,
            f"num_workers = {self.num_workers}, expected 0 or more": self.num_workers < 0,
            f"num_threads = {self.num_threads}, expected at least 1": self.num_threads is not None
            and self.num_threads < 1,
            f"mix_probability = {self.mix_probability}, expected 0 to 1": not (
                0 <= self.mix_probability <= 1
            ),
            f"views_per_volume = {self.views_per_volume}, expected at least 1": (
                self.views_per_volume < 1
            ),
            f"auxiliary_decay = {self.auxiliary_decay}, expected above 0 up to 1": not (
                0 < self.auxiliary_decay <= 1
            ),
            f"mpp = {self.mpp}, expected above 0": self.mpp is not None and not self.mpp > 0,
            f"patch_size = {self.patch_size}, expected at least 1 x 1": self.patch_size is not None
            and min(self.patch_size) < 1,
            f"patches_per_epoch = {self.patches_per_epoch}, expected at least 1": (
                self.patches_per_epoch is not None and self.patches_per_epoch < 1
            ),
            f"limit = {self.limit}, expected at least 1": self.limit is not None and self.limit < 1,
            "data is empty, expected at least one folder": not self.data,
            "losses are empty, expected at least one": not self.losses,
            f"mean is {self.mean}, expected it of pixels in [0, 1]: divide by 255": any(
                not 0 <= value <= 1 for value in self.mean or ()
            ),
            f"mean is {self.mean} and std is {self.std}, expected both, as many numbers": len(
                self.mean or ()
            )
            != len(self.std or ()),
            f"size_steps = {self.size_steps}, expected rising shares below 1": [
                share for share, *_ in self.size_steps
            ]
            != sorted({share for share, *_ in self.size_steps if 0 < share < 1}),
        }
        for name in ("train_subset", "val_subset"):
            found = len(getattr(self, name))
            problems[f"{name} names {found} lists, expected one for each of data's folders"] = (
                found not in (0, len(self.data))
            )
        for problem, is_so in problems.items():
            if is_so:
                raise DataError(f"The recipe has {problem}; mend it.")

    def size_in(self, epoch: int) -> tuple[int, ...] | None:
        """Size of what training sees in an epoch, counted from 0."""
        for share, *size in self.size_steps:
            if epoch < share * self.epochs:
                return tuple(int(length) for length in size)
        return self.size_cycle[epoch % len(self.size_cycle)] if self.size_cycle else self.size
