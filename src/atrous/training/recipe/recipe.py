"""What a training run is made of: one flat, typed record, checked before anything is read.

A recipe file is TOML with the keys of `Recipe` and nothing else: no sections, no inheritance. Two
recipes that differ in one number differ in one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from atrous.errors import DataError
from atrous.networks.preprocessing.images import ChannelOrder, Interpolation
from atrous.networks.preprocessing.images import Step as PreprocessingStep
from atrous.networks.preprocessing.volume_spec import Crop, Interpolate, Normalise, Outside
from atrous.training.recipe.ranges import out_of_range

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
    allow_partial: bool = False
    """With `replace_head`, start also where less than half of the encoder's numbers fit."""
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
    """Part of the data to learn from, where they are kept in splits."""
    val_split: str | None = None
    """Part of the data to be measured on."""
    train_subset: tuple[str, ...] = ()
    """One list of sample names for each folder, from the recipe's own folder; empty for all."""
    val_subset: tuple[str, ...] = ()
    """The same of the samples to be measured on."""
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
    """Size `(H, W)` that images are resized to when the network is used; empty for their own; None
    for that of the card of `weights`, or their own without such."""
    predict_shorter_side: int | None = None
    """Length of the shorter side before the middle of `predict_size` is cut out; None to resize
    whatever the aspect."""
    mean: tuple[float, ...] | None = None
    """Mean per channel, taken off each pixel, in the order and range of the next keys; None for
    that of the card of `weights` (with its std, order and range), or for ImageNet's without such.
    """
    std: tuple[float, ...] | None = None
    """Standard deviation that each pixel is divided by; None as for `mean`."""
    channel_order: ChannelOrder | None = None
    """Order of `mean` and of what the network is fed, of a recipe that gives `mean`; None for RGB.
    """
    value_range: float | None = None
    """Value of white in the units of `mean` and `std`, of a recipe that gives them; None for 1."""
    final_scale: float | None = None
    """Factor of the normalised values, such as 1/255 as in the ESPNets of 2018; None for that of
    the card of `weights` where `mean` is its, or 1."""
    resize_filter: Interpolation | None = None
    """How images get to `predict_size`: as OpenCV does, or filtered first, as Pillow does; None for
    that of the card of `weights`, or `bilinear_antialias` without such."""
    preprocessing_steps: tuple[PreprocessingStep, ...] | None = None
    """Order of the steps, each once; None for that of the card of `weights`, or resize, normalise,
    scale without such."""

    # What a network of volumes is fed, see `networks.preprocessing.volume_spec.VolumeSpec`. Where
    # the recipe is silent (None), the card of `weights` says it.
    channel_names: tuple[str, ...] = ()
    """Of the scans' channels, in order; empty for what the layout or the card of `weights` says, or
    numbers."""
    crop: Crop | None = None
    """`nonzero` crops a scan to the box of what is not around it, `none` does not; None for the
    card of `weights`, or `none` without such."""
    clip_values: tuple[float, ...] | None = None
    """Values beyond these two become the nearer of them, such as a window of CT in Hounsfield
    units; empty for none; None for the card of `weights`."""
    normalise: Normalise | None = None
    """Each channel of each scan: to [0, 1] (`min_max`), to mean 0 and deviation 1 (`z_score`), or
    `none`; None for the card of `weights`, or `z_score` without such."""
    is_inside: bool | None = None
    """Take the statistics of the voxels inside only, and set the others to 0; None for the card of
    `weights`, or false without such."""
    outside: Outside | None = None
    """What a scan has around the head: `zero`, or the `lowest` of its values; None for the card of
    `weights`, or `zero` without such."""
    spacing: tuple[float, ...] | None = None
    """Millimetres along D, H, W that scans are resampled to; empty for their own; None for the card
    of `weights`."""
    interpolation: Interpolate | None = None
    """Of resampled scans; None for the card of `weights`, or `linear` without such."""
    working_sizes: tuple[tuple[int, int, int], ...] | None = None
    """Sizes that the network also works at when it is used, whose logits are averaged; None for the
    card of `weights`."""
    largest_only: tuple[str, ...] | None = None
    """Classes of which only the largest connected part is kept when the network is used; None for
    the card of `weights`."""

    # Augmentation, see `data.augment.photos.Augmentation`
    size: tuple[int, int] | tuple[int, int, int] | None = None
    """Size `(H, W)`, of volumes `(D, H, W)`, of what training sees; None for the samples' own,
    which must then be equal."""
    size_steps: tuple[tuple[float, int, int] | tuple[float, int, int, int], ...] = ()
    """Other sizes for a while: `[share, H, W]` is in force until that share of the epochs."""
    size_cycle: tuple[tuple[int, int] | tuple[int, int, int], ...] = ()
    """Sizes in turn, one an epoch, instead of `size`, after all of `size_steps`."""
    fit: str = "own"
    """What a scale of 1 is: `own`, `stretch`, and of images `inside`, `cover` or `area`."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest magnification; with `fit = "area"` the share of the area that is seen."""
    aspect: float = 1.0
    """Widths over heights change by up to this factor, either way."""
    flip: float = 0.5
    """Probability of exchanging left and right; of volumes for each of `flip_axes`."""
    vertical_flip: float = 0.0
    """Probability of exchanging top and bottom."""
    rotation: float = 0.0
    """Degrees, either way; of volumes about each axis."""
    brightness: float = 0.0
    """Factor of the values from 1 - this to 1 + this."""
    contrast: float = 0.0
    """Factor of the distance from the mean from 1 - this to 1 + this."""
    saturation: float = 0.0
    """Factor of the distance from grey from 1 - this to 1 + this."""
    hue: float = 0.0
    """Turns of the colour wheel, either way."""
    grey: float = 0.0
    """Probability of losing all colour."""
    stain: float = 0.0
    """Factor of the amounts of haematoxylin and of eosin from 1 - this to 1 + this."""
    stain_shift: float = 0.0
    """Absorbance that is added to each dye or taken off, at most."""
    blur: float = 0.0
    """Probability of a Gaussian blur."""
    noise: float = 0.0
    """Highest standard deviation of white noise, in units of white; of volumes of the input."""
    # Of volumes only, see `data.augment.volumes.VolumeAugmentation`
    views_per_volume: int = 1
    """How often an epoch sees each volume, each time another part or view of it."""
    foreground: float = 0.0
    """Probability that a view is laid around a voxel of a class other than 0."""
    elastic: float = 0.0
    """Standard deviation in mm by which points are moved."""
    warp_probability: float = 1.0
    """Probability that a view is magnified, turned and bent; else its voxels are copied."""
    flip_axes: tuple[int, ...] = (0, 1, 2)
    """Axes that may be mirrored: 0 is D, 1 is H, 2 is W."""
    gamma: float = 0.0
    """Exponent from 1 / (1 + this) to 1 + this."""
    bias_field: float = 0.0
    """Greatest coefficient of the polynomial whose exponential the values are multiplied by."""
    modality_dropout: float = 0.0
    """Probability that a channel is 0 all over, for each; one is always left."""
    mix: Mix = "none"
    """Paste on samples boxes (`cutmix`) or classes (`classmix`) of others of the batch."""
    mix_probability: float = 0.5
    """Probability of each sample to be pasted on."""

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
    """Share of the aim that all classes get alike: in the cross entropy of masks, or of labels of
    whole images; of networks that give both, of the labels."""
    auxiliary_weight: float = 0.0
    """Factor of the auxiliary heads' losses; above 0 only for networks that have such heads."""
    auxiliary_decay: float = 1.0
    """Factor from each auxiliary head to the next, which are ordered from the finest on."""
    diagnosis_weight: float = 1.0
    """Factor of the labels' cross-entropy, of networks that give masks and labels."""

    # Optimisation
    epochs: int
    """How often the training data are gone through."""
    batch_size: int
    """Of one step, over all processes."""
    accumulate: int = 1
    """Parts that a batch is run in, one after the other, where it does not fit in memory whole."""
    optimiser: OptimiserName = "adamw"
    """`adamw`, `adam`, or `sgd` with Nesterov's momentum."""
    learning_rate: float
    """Of parameters without a factor of their own, before the schedule."""
    learning_rate_factors: Mapping[str, float] = field(default_factory=dict)
    """Factor by the start of a parameter's name, such as `{ encoder = 0.1 }`; 0 freezes it."""
    weight_decay: float = 1e-4
    """Of tensors of two axes or more: not of biases, norms and slopes."""
    momentum: float = 0.9
    """Of `sgd`; the first beta of the others."""
    schedule: str = "cosine"
    """A name of `training.schedules.SCHEDULES`."""
    warmup_epochs: float = 0.0
    """Epochs in which the rate rises from 0, before the schedule's own factor is reached."""
    clip: float | None = None
    """Largest norm of all gradients together."""
    ema: float | None = None
    """Decay of the moving average of the weights, which is then what is evaluated and kept."""
    freeze_batch_norm: bool | tuple[str, ...] = False
    """Keep the running statistics and use them in training: of all batch norms, or of those whose
    names start so, such as `["encoder"]`. Those of a frozen part (a factor of 0) always are."""
    sync_batch_norm: bool = False
    """Share batch statistics between processes; torch has this for GPUs only."""
    precision: Precision = "float32"
    """Of the forward pass."""
    compile: bool = False
    """Let `torch.compile` fuse the network: a minute or more at first, then faster steps."""
    seed: int = 0
    """Of the start, the order, the views and the dropout."""
    num_threads: int | None = None
    """Of this process on a CPU; None for one a core. On small maps one is as fast as two and leaves
    a core to `num_workers`. Other numbers round sums otherwise."""

    # Evaluation
    protocol: str = "void_ignored"
    """A name of `metrics.protocols.PROTOCOLS`, by which masks of images are scored."""
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
        white = self.value_range or 1.0
        sizes = {
            "predict_size": (self.predict_size,),
            "patch_size": (self.patch_size,),
            "size": (self.size,),
            "size_cycle": self.size_cycle,
            "size_steps": tuple(size for _, *size in self.size_steps),
        }
        problems = {
            **out_of_range(self),
            f"accumulate = {self.accumulate}, expected at most batch_size": (
                self.accumulate > self.batch_size
            ),
            f"warmup_epochs = {self.warmup_epochs}, expected at most epochs": (
                self.warmup_epochs > self.epochs
            ),
            "data is empty, expected at least one folder": not self.data,
            "losses are empty, expected at least one": not self.losses,
            f"mean is {self.mean}, expected it of pixels in [0, {white:g}]: "
            + ("divide by 255, or set value_range = 255" if white == 1 else "mend it"): any(
                not 0 <= value <= white for value in self.mean or ()
            ),
            f"std is {self.std}, expected it of pixels in [0, {white:g}], above 0": any(
                not 0 < value <= white for value in self.std or ()
            ),
            f"mean is {self.mean} and std is {self.std}, expected both, as many numbers": len(
                self.mean or ()
            )
            != len(self.std or ()),
            f"channel_order = {self.channel_order!r} and value_range = {self.value_range}, which "
            "say how mean and std are meant, expected those too": self.mean is None
            and (self.channel_order, self.value_range) != (None, None),
            f"clip_values = {self.clip_values}, expected two, or none": len(self.clip_values or ())
            not in (0, 2),
            f"spacing = {self.spacing}, expected three, or none": len(self.spacing or ())
            not in (0, 3),
            f"size_steps = {self.size_steps}, expected rising shares below 1": [
                share for share, *_ in self.size_steps
            ]
            != sorted({share for share, *_ in self.size_steps if 0 < share < 1}),
        }
        for name, found_sizes in sizes.items():
            problems[f"{name} = {getattr(self, name)}, expected lengths of at least 1"] = any(
                length < 1 for size in found_sizes for length in size or ()
            )
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
