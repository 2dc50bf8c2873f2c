"""Which of `predict`'s files are slides, and whether its options make sense for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from atrous.errors import DataError, MissingExtraError, UnknownNameError
from atrous.pipelines.predict.slides import MIN_REGION, SlideOptions

if TYPE_CHECKING:
    from atrous.inference import LabelPredictor, Predictor


Kind: TypeAlias = Literal["photos", "slides", "volumes"]

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {
        "--background": ("photos",),
        "--foreground": ("photos",),
        "--max-pixels": ("photos",),
        "--weights": ("photos", "slides"),
        "--mpp": ("slides",),
        "--at-mpp": ("slides",),
        "--tile": ("slides",),
        "--all-tiles": ("slides",),
        "--probabilities": ("slides",),
        "--min-region": ("slides",),
        "--plan": ("slides",),
        "--memory": ("slides", "volumes"),
        "--context": ("slides", "volumes"),
        "--flip": ("volumes",),
        "--allow-missing": ("volumes",),
        "--html": ("volumes",),
        "--bids": ("volumes",),
    }
)


def check_options(kind: Kind, values: Mapping[str, object]) -> None:
    """See that no option was given that the files make no use of.

    Args:
        kind: What the files are.
        values: By option; None, False, `auto` and nothing at all mean that it was not given.

    Raises:
        DataError: If one was.
    """
    for option, value in values.items():
        if value not in (None, False, [], "auto") and kind not in KINDS[option]:
            raise DataError(
                f"{option} is for {' and '.join(KINDS[option])}, and these are {kind}; leave it "
                "out."
            )


def checked_options(
    *,
    memory: str | None,
    context: str,
    tile: int | None,
    mpp: float | None = None,
    at_mpp: float | None = None,
    all_tiles: bool = False,
    probabilities: bool = False,
    min_region: float | None = None,
    plan: bool = False,
) -> SlideOptions:
    """What the command line says about slides; the last six are of `predict` alone.

    Raises:
        DataError: If a number makes no sense.
        UnknownNameError: If there is no such context.
    """
    from atrous.inference.tiles.mode import ContextWish

    for name, value in (("--mpp", mpp), ("--at-mpp", at_mpp), ("--tile", tile)):
        if value is not None and not 0 < value < float("inf"):
            raise DataError(f"{name} is {value}; expected more than 0.")
    wish = next((known for known in get_args(ContextWish) if known == context), None)
    if wish is None:
        raise UnknownNameError("context", context, get_args(ContextWish))
    if min_region is not None and not 0 <= min_region < float("inf"):
        raise DataError(f"--min-region is {min_region}; expected 0 or more, in µm².")
    if memory is not None:
        from atrous.inference.tiles.memory import parse_memory

        parse_memory(memory)
    return SlideOptions(
        mpp=mpp,
        at_mpp=at_mpp,
        memory=memory,
        context=wish,
        tile=tile,
        all_tiles=all_tiles,
        probabilities=probabilities,
        min_region=MIN_REGION if min_region is None else min_region,
        plan=plan,
    )


def are_slides(paths: Sequence[Path]) -> bool:
    """Whether the files are whole slides, all of them, rather than images.

    Raises:
        DataError: If some are and some are not.
    """
    slides = [path for path in paths if _is_slide(path)]
    if slides and len(slides) < len(paths):
        image = next(path for path in paths if path not in slides)
        raise DataError(
            f"There are {len(slides)} slides (such as {slides[0].name}) and "
            f"{len(paths) - len(slides)} images (such as {image.name}); expected one kind; name "
            "them in two commands."
        )
    return bool(slides)


def require_masks(predictor: "Predictor | LabelPredictor") -> "Predictor":
    """The same predictor, which is seen to be one that slides can be run by.

    Raises:
        DataError: If it gives labels only.
    """
    from atrous.inference import Predictor

    if not isinstance(predictor, Predictor):
        raise DataError(
            f"{predictor.card.name} labels whole images; expected a network that gives masks; "
            "take another one for slides."
        )
    return predictor


def _is_slide(path: Path) -> bool:
    from atrous.data.listing import SLIDE_SUFFIXES
    from atrous.data.slides.read import is_slide

    if path.suffix.lower() in SLIDE_SUFFIXES:
        return True
    try:
        return is_slide(path)
    except MissingExtraError:  # it has nothing of a slide but what openslide alone would know
        return False
