"""A view of a sample: of chance that is ours alone, image and mask aligned, any size and shape."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset

from atrous.data.augment.photos import Augmentation, augment, sample_rng
from atrous.errors import DataError, ShapeError

NOTHING = Augmentation(flip=0.0)
EVERYTHING = Augmentation(
    size=(40, 56),
    scale=(0.5, 2.0),
    aspect=1.3,
    rotation=30.0,
    vertical_flip=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
    grey=0.2,
    blur=0.5,
    noise=0.05,
)
TABLE = torch.tensor([[200, 30, 60], [20, 180, 40], [90, 90, 250], [240, 220, 10]]).to(torch.uint8)


def picture(height=48, width=64):
    """A noisy image and a mask of noise, for what has nothing to do with content."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    return image, torch.from_numpy(rng.integers(0, 5, (height, width)))


def blocks(rows=4, columns=5, side=24):
    """An image that shows its own mask: squares coloured by class."""
    classes = np.random.default_rng(1).integers(0, len(TABLE), (rows, columns))
    mask = torch.from_numpy(np.kron(classes, np.ones((side, side), dtype=np.int64)))
    return TABLE[mask].permute(2, 0, 1), mask


def ramps(length=180):
    """An image whose channels are the row and the column, with masks of the same."""
    along = torch.arange(length).expand(length, length)
    image = torch.stack([along.T, along, torch.zeros_like(along)]).to(torch.uint8)
    return image, along.T.clone(), along.clone()


class Views(Dataset):
    def __init__(self, *, epoch):
        self.epoch = epoch

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return augment(*picture(), EVERYTHING, sample_rng(5, epoch=self.epoch, index=index))


def views(*, epoch=0, num_workers=0, indices=range(8)):
    loader = DataLoader(
        Views(epoch=epoch), sampler=indices, batch_size=None, num_workers=num_workers
    )
    return dict(zip(indices, loader, strict=True))


def test_views_depend_on_neither_workers_nor_order():
    alone, together = views(), views(num_workers=2, indices=[3, 0, 7, 1, 6, 5, 4, 2])
    for index in range(8):
        for one, other in zip(alone[index], together[index], strict=True):
            assert torch.equal(one, other)


def test_every_sample_and_epoch_has_its_own_view():
    first, second = views(), views(epoch=1)
    images = [image for image, _ in (*first.values(), *second.values())]
    assert not any(torch.equal(a, b) for index, a in enumerate(images) for b in images[index + 1 :])


def test_seeds_epochs_and_indices_do_not_run_into_each_other():
    numbers = {
        sample_rng(seed, epoch=epoch, index=index).random()
        for seed in (0, 1, 2**32)
        for epoch in range(4)
        for index in range(4)
    }
    assert len(numbers) == 3 * 4 * 4


def test_no_chance_is_taken_from_elsewhere():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augment(*picture(), EVERYTHING, sample_rng(0, epoch=0, index=0))
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_colours_do_not_change_where_a_view_lies():
    image, mask = picture()
    plain = Augmentation(size=(30, 30), scale=(0.5, 2.0))
    colourful = Augmentation(size=(30, 30), scale=(0.5, 2.0), hue=0.2, blur=1.0, noise=0.1)
    for index in range(10):
        _, one = augment(image, mask, plain, sample_rng(0, epoch=0, index=index))
        _, other = augment(image, mask, colourful, sample_rng(0, epoch=0, index=index))
        assert torch.equal(one, other)


@pytest.mark.parametrize("fit", ["own", "inside", "cover", "stretch", "area"])
def test_settings_that_change_nothing_give_the_sample_back(fit):
    image, mask = picture()
    augmentation = Augmentation(flip=0.0, size=(48, 64), fit=fit)
    for settings_ in (augmentation, NOTHING):
        view, moved = augment(image, mask, settings_, sample_rng(0, epoch=0, index=0))
        assert torch.equal(view, image)
        assert torch.equal(moved, mask)


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_flip_is_torchs_and_undoes_itself(axis):
    image, mask = picture()
    certain = Augmentation(flip=float(axis == -1), vertical_flip=float(axis == -2))
    rng = sample_rng(0, epoch=0, index=0)
    once = augment(image, mask, certain, rng)
    assert torch.equal(once[0], image.flip(axis))
    assert torch.equal(once[1], mask.flip(axis))
    twice = augment(*once, certain, rng)
    assert torch.equal(twice[0], image)
    assert torch.equal(twice[1], mask)


def test_results_are_contiguous_and_share_no_memory():
    for augmentation in (NOTHING, EVERYTHING, Augmentation(size=(20, 20), flip=0.0)):
        rows_last = picture()[0].permute(1, 2, 0).contiguous().permute(2, 0, 1)
        for image in (picture()[0], rows_last):
            mask = picture()[1]
            kept = image.clone(), mask.clone()
            view, moved = augment(image, mask, augmentation, sample_rng(0, epoch=0, index=0))
            assert view.is_contiguous()
            assert moved.is_contiguous()
            view.zero_()
            moved.zero_()
            assert torch.equal(image, kept[0])
            assert torch.equal(mask, kept[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_a_mask_keeps_its_type_and_gets_no_new_classes(dtype):
    image, mask = picture()
    for index in range(10):
        rng = sample_rng(0, epoch=0, index=index)
        view, moved = augment(image, mask.to(dtype), EVERYTHING, rng)
        assert view.dtype == torch.uint8
        assert moved.dtype == dtype
        assert set(moved.unique().tolist()) <= {0, 1, 2, 3, 4, 255}


def test_without_a_mask_the_image_is_the_same():
    image, mask = picture()
    view, nothing = augment(image, None, EVERYTHING, sample_rng(0, epoch=0, index=0))
    assert nothing is None
    assert torch.equal(view, augment(image, mask, EVERYTHING, sample_rng(0, epoch=0, index=0))[0])


def test_what_is_larger_than_the_image_is_padded():
    image, mask = picture(20, 30)
    augmentation = Augmentation(size=(50, 64), fill=(1, 2, 3), flip=0.0)
    corners = set()
    for index in range(20):
        view, moved = augment(image, mask, augmentation, sample_rng(0, epoch=0, index=index))
        is_image = moved != 255
        assert int(is_image.sum()) == 20 * 30
        assert torch.equal(moved[is_image], mask.flatten())
        assert torch.equal(view[:, is_image], image.flatten(1))
        assert view[:, ~is_image].unique(dim=1).flatten().tolist() == [1, 2, 3]
        corners.add(tuple(is_image.nonzero()[0].tolist()))
    assert len(corners) > 10  # anywhere, not in one corner


def test_padding_has_the_mean_colour_unless_told():
    image, mask = blocks()
    view, moved = augment(
        image, mask, Augmentation(size=(200, 200)), sample_rng(0, epoch=0, index=0)
    )
    mean = image.to(torch.float64).mean(dim=(1, 2))
    assert torch.allclose(view[:, moved == 255].to(torch.float64), mean[:, None], atol=0.5)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(size=(70, 90), scale=(0.4, 3.0), aspect=1.5),
        Augmentation(size=(70, 90), fit="inside", scale=(0.5, 2.0), vertical_flip=0.5),
        Augmentation(size=(70, 90), fit="cover", scale=(1.0, 3.0)),
        Augmentation(size=(70, 50), fit="stretch", scale=(0.8, 1.5)),
        Augmentation(size=(70, 90), fit="area", scale=(0.1, 1.0), aspect=4 / 3),
        Augmentation(scale=(0.5, 2.0), rotation=180.0),
        Augmentation(size=(70, 90), fit="cover", rotation=20.0, scale=(0.7, 1.5)),
    ],
)
def test_an_image_that_shows_its_mask_still_does(augmentation):
    image, mask = blocks()
    num_inside = 0
    for index in range(20):
        view, moved = augment(image, mask, augmentation, sample_rng(0, epoch=0, index=index))
        around = F.unfold(F.pad(moved[None, None].float(), (2,) * 4, value=-1), 5)
        is_inside = (around == around[:, :1]).all(dim=1).view(moved.shape) & (moved != 255)
        colours = TABLE[moved[is_inside]].int()
        assert (view[:, is_inside].T.int() - colours).abs().max() <= 1
        num_inside += int(is_inside.sum())
    assert num_inside > 20 * 0.1 * moved.numel()


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(0.3, 4.0),
    rotation=st.sampled_from([0.0, 45.0, 180.0]),
    aspect=st.floats(1.0, 1.5),
)
def test_image_and_mask_are_not_shifted_by_part_of_a_pixel(seed, scale, rotation, aspect):
    """Where the mask samples the middle of pixels, its mean row and column are the image's.

    The nearest pixel may lie on one side all over a view that is turned by a little, but not of
    several views that are turned by chance: a shift by half a pixel would show in all of them.
    """
    image, rows, columns = ramps()
    augmentation = Augmentation(
        size=(100, 110), scale=(scale, scale), rotation=rotation, aspect=aspect
    )
    means: list[list[float]] = [[], []]
    for index in range(12 if rotation else 1):
        view, moved = augment(image, rows, augmentation, sample_rng(seed, epoch=0, index=index))
        _, moved_columns = augment(
            image, columns, augmentation, sample_rng(seed, epoch=0, index=index)
        )
        # Borders repeat what is at the edge of an image; padding shines in when it is turned.
        is_inside = (moved > 8) & (moved < 171) & (moved_columns > 8) & (moved_columns < 171)
        for channel, truth in ((0, moved), (1, moved_columns)):
            error = (view[channel].double() - truth.double())[is_inside]
            assert error.abs().max() <= 0.5 / min(1, scale) * aspect + 1.5
            means[channel].append(float(error.mean()))
    for mean in means:
        most = 0.12 if not rotation else 0.2 / min(1, scale) * aspect
        assert abs(sum(mean) / len(mean)) < most


def test_scales_are_drawn_log_uniformly():
    image, _, _ = ramps()
    augmentation = Augmentation(size=(60, 60), scale=(0.5, 2.0), flip=0.0)
    scales = []
    for index in range(300):
        view, _ = augment(image, None, augmentation, sample_rng(1, epoch=0, index=index))
        line = view[1, 0].double()
        scales.append(40 / float(line[50] - line[10]))
    drawn = np.log2(scales)
    assert stats.kstest(drawn, stats.uniform(-1, 2).cdf).pvalue > 0.001


def test_shares_of_the_area_are_drawn_uniformly_and_never_padded():
    image, rows, _ = ramps()
    augmentation = Augmentation(size=(64, 64), fit="area", scale=(0.2, 1.0), flip=0.0)
    shares = []
    for index in range(300):
        rng = sample_rng(1, epoch=0, index=index)
        _, moved = augment(image, rows, augmentation, rng)
        assert int(moved.max()) < 255
        shares.append(((int(moved[-1, 0]) - int(moved[0, 0])) * 64 / 63 / 180) ** 2)
    assert stats.kstest(shares, stats.uniform(0.2, 0.8).cdf).pvalue > 0.001


@pytest.mark.parametrize(
    ("fit", "covered"),
    [("own", (60, 100)), ("inside", (48, 80)), ("cover", (90, 80)), ("stretch", (90, 80))],
)
def test_what_a_scale_of_1_is(fit, covered):
    """An image of 60x100 in a view of 90x80: lengths by the rule of three, cut off at the view."""
    image, mask = picture(60, 100)
    augmentation = Augmentation(size=(90, 80), fit=fit)
    _, moved = augment(image, mask, augmentation, sample_rng(0, epoch=0, index=0))
    is_image = moved != 255
    assert int(is_image.any(dim=1).sum()) == covered[0]
    assert int(is_image.any(dim=0).sum()) == min(covered[1], 80)


def test_stretching_is_resizing():
    image, _ = picture(60, 100)
    augmentation = Augmentation(size=(90, 80), fit="stretch", flip=0.0)
    view, _ = augment(image, None, augmentation, sample_rng(0, epoch=0, index=0))
    resized = F.interpolate(image[None], size=(90, 80), mode="bilinear", antialias=True)[0]
    assert torch.equal(view, resized)


def test_about_half_of_the_views_are_flipped():
    image, _, _ = ramps(20)
    is_flipped = [
        bool(view[1, 0, 0] > view[1, 0, -1])
        for view, _ in (
            augment(image, None, Augmentation(), sample_rng(2, epoch=0, index=index))
            for index in range(400)
        )
    ]
    assert stats.binomtest(sum(is_flipped), 400, 0.5).pvalue > 0.001


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40)),
    fit=st.sampled_from(["own", "inside", "cover", "stretch", "area"]),
    low=st.floats(0.01, 1.0),
    rotation=st.floats(0.0, 180.0),
)
def test_any_size_gives_the_size_asked_for(height, width, size, fit, low, rotation):
    image, mask = picture(height, width)
    high = 1.0 if fit == "area" else 1 / low
    augmentation = Augmentation(
        size=size,
        fit=fit if size else "own",
        scale=(low, high),
        aspect=2.0,
        rotation=rotation,
        blur=1.0,
        noise=0.1,
        contrast=0.5,
    )
    view, moved = augment(image, mask, augmentation, sample_rng(0, epoch=0, index=height))
    assert view.shape == (3, *(size or (height, width)))
    assert moved.shape == view.shape[1:]


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3)])
def test_tiny_and_narrow_images_are_augmented(size):
    image, mask = picture(*size)
    for index in range(5):
        view, moved = augment(image, mask, EVERYTHING, sample_rng(0, epoch=0, index=index))
        assert view.shape == (3, 40, 56)
        assert int((moved != 255).sum()) > 0


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"size": (0, 5)}, "size"),
        ({"size": (5, 5, 5)}, "size"),
        ({"fit": "cover"}, "without a size"),
        ({"fit": "crop", "size": (5, 5)}, "fit 'crop'"),
        ({"scale": (2.0, 0.5)}, "scale"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (0.2, 1.5), "fit": "area", "size": (5, 5)}, "area"),
        ({"aspect": 0.9}, "aspect"),
        ({"aspect": float("nan")}, "aspect"),
        ({"rotation": -5.0}, "rotation"),
        ({"flip": 1.5}, "probabilities"),
        ({"brightness": 2.0}, "brightness"),
        ({"hue": 0.6}, "hue"),
        ({"fill": (0, 0, 256)}, "fill"),
    ],
)
def test_impossible_settings_are_refused(settings_, message):
    with pytest.raises(DataError, match=message):
        Augmentation(**settings_)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.int64), None, "uint8"),
        (torch.zeros(4, 4, dtype=torch.uint8), None, r"\(C, H, W\)"),
        (torch.zeros(3, 0, 4, dtype=torch.uint8), None, "pixels"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 5), "one size"),
        (torch.zeros(1, 4, 4, dtype=torch.uint8), None, "1 channels"),
    ],
)
def test_samples_of_another_form_are_refused(image, mask, message):
    with pytest.raises(ShapeError, match=message):
        augment(image, mask, EVERYTHING, sample_rng(0, epoch=0, index=0))


def test_one_channel_is_enough_without_colours():
    image = picture()[0][:1]
    augmentation = Augmentation(size=(20, 20), scale=(0.5, 2.0), brightness=0.5, blur=1.0)
    view, _ = augment(image, None, augmentation, sample_rng(0, epoch=0, index=0))
    assert view.shape == (1, 20, 20)
