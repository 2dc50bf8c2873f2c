"""Views of volumes: images and masks together, sharp where they are copied, known from the seed."""

import math

import numpy as np
import pytest
import torch
from monai.transforms import AdjustContrast
from scipy.ndimage import affine_transform, map_coordinates, zoom
from torch.nn.functional import interpolate, one_hot

from atrous.data.augment.photos import sample_rng
from atrous.data.augment.volume_geometry import VolumeGeometry, cut_image, cut_mask
from atrous.data.augment.volume_intensity import IntensityTransform, apply_intensity, bias_field
from atrous.data.augment.volumes import VolumeAugmentation, augment_volume
from atrous.errors import DataError, ShapeError

SIZE = (9, 12, 10)


def volume(channels=2, size=SIZE):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((channels, *size), dtype=np.float32)
    return torch.from_numpy(image), torch.from_numpy(rng.integers(0, 3, size, dtype=np.uint8))


def view(augmentation, *, index=0, image=None, mask=None):
    given_image, given_mask = volume()
    image, mask = given_image if image is None else image, given_mask if mask is None else mask
    return augment_volume(image, mask, augmentation, sample_rng(0, epoch=0, index=index))


def test_nothing_asked_for_changes_nothing():
    image, mask = volume()
    same_image, same_mask = view(VolumeAugmentation(flip=0))
    assert torch.equal(same_image, image)
    assert torch.equal(same_mask, mask)
    assert same_image.data_ptr() != image.data_ptr()


def test_flips_mirror_every_axis_and_both_alike():
    image, mask = volume()
    mirrored, labels = view(VolumeAugmentation(flip=1))
    assert torch.equal(mirrored, image.flip(1, 2, 3))
    assert torch.equal(labels, mask.flip(0, 1, 2))


def test_only_the_axes_that_may_be_mirrored_are():
    image, _ = volume()
    mirrored, _ = view(VolumeAugmentation(flip=1, flip_axes=(2,)))
    assert torch.equal(mirrored, image.flip(3))


def test_a_larger_view_holds_all_of_the_volume_and_is_0_and_unlabelled_around_it():
    image, mask = volume()
    seen, labels = view(VolumeAugmentation(flip=0, size=(16, 16, 16)))
    assert seen.shape == (2, 16, 16, 16)
    inside = labels != 255
    assert torch.equal(labels[inside], mask.flatten())
    assert torch.equal(seen[:, inside], image.flatten(1))
    assert not seen[:, ~inside].any()


@pytest.mark.parametrize("index", range(5))
def test_a_smaller_view_is_a_piece_of_the_volume(index):
    image, mask = volume()
    seen, labels = view(VolumeAugmentation(flip=0, size=(4, 5, 6)), index=index)
    pieces = image.unfold(1, 4, 1).unfold(2, 5, 1).unfold(3, 6, 1)
    is_there = (pieces == seen[:, None, None, None]).all(0).all(-1).all(-1).all(-1)
    assert int(is_there.sum()) == 1
    d, h, w = (int(at) for at in is_there.nonzero()[0])
    assert torch.equal(labels, mask[d : d + 4, h : h + 5, w : w + 6])


@pytest.mark.parametrize("index", range(10))
def test_with_foreground_of_1_every_view_holds_the_only_labelled_voxel(index):
    mask = torch.zeros(SIZE, dtype=torch.uint8)
    mask[1, 10, 5] = 2
    _, labels = view(VolumeAugmentation(foreground=1, size=(3, 4, 3)), index=index, mask=mask)
    assert int((labels == 2).sum()) == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_quarter_turn_is_numpys(axis):
    image, mask = volume(size=(8, 8, 8))
    angles = tuple(math.pi / 2 if other == axis else 0.0 for other in range(3))
    geometry = VolumeGeometry(starts=(0, 0, 0), size=(8, 8, 8), flips=(False,) * 3, angles=angles)
    plane = tuple(other for other in range(3) if other != axis)
    expected = np.rot90(mask.numpy(), -1, axes=plane)
    assert np.array_equal(cut_mask(mask, geometry).numpy(), expected)
    turned = np.rot90(image.numpy(), -1, axes=tuple(other + 1 for other in plane))
    np.testing.assert_allclose(cut_image(image, geometry).numpy(), turned, atol=1e-4)


def test_sampling_is_scipys():
    image, _ = volume(channels=1, size=(20, 22, 24))
    geometry = VolumeGeometry(
        starts=(5, 4, 3), size=(8, 9, 10), flips=(False, True, False),
        angles=(0.2, -0.1, 0.3), magnification=(1.3, 0.8, 1.0), spacing=(2.0, 1.0, 0.5),
    )  # fmt: skip
    matrix = geometry.matrix()
    middle = (np.array(geometry.size) - 1) / 2
    expected = affine_transform(
        image[0].numpy(),
        matrix,
        offset=np.array(geometry.centre) - matrix @ middle,
        output_shape=geometry.size,
        order=1,
    )
    np.testing.assert_allclose(cut_image(image, geometry)[0].numpy(), expected, atol=1e-4)


def test_turning_keeps_lengths_in_millimetres():
    spacing = np.array([3.0, 1.0, 0.7])
    geometry = VolumeGeometry(
        starts=(0, 0, 0), size=SIZE, flips=(True, False, True),
        angles=(0.4, 0.2, -0.7), spacing=tuple(spacing),
    )  # fmt: skip
    steps = np.random.default_rng(0).standard_normal((3, 20))
    before = np.linalg.norm(spacing[:, None] * steps, axis=0)
    after = np.linalg.norm(spacing[:, None] * (geometry.matrix() @ steps), axis=0)
    np.testing.assert_allclose(after, before)


@pytest.mark.parametrize("index", range(6))
def test_image_and_mask_stay_together_when_warped(index):
    mask = torch.zeros(24, 24, 24, dtype=torch.uint8)
    mask[6:18, 8:16, 7:19] = 1
    image = mask[None].float() + 1
    augmentation = VolumeAugmentation(rotation=30, scale=(0.7, 1.4), elastic=1.0, size=(20, 20, 20))
    seen, labels = view(augmentation, index=index, image=image, mask=mask)
    labelled = labels != 255
    # The class is the one that more than half of the value comes from.
    agrees = (seen[0] > 1.5) == (labels == 1)
    assert agrees[labelled].float().mean() > 0.995
    assert 0 < int((labels == 1).sum()) < labels.numel()


def test_a_stretched_view_is_the_volume_resized():
    image, mask = volume(channels=1, size=(6, 8, 10))
    augmentation = VolumeAugmentation(fit="stretch", size=(12, 16, 5), flip=0)
    seen, labels = view(augmentation, image=image, mask=mask)
    expected = interpolate(image[None], size=(12, 16, 5), mode="trilinear", align_corners=False)[0]
    # At the border torch repeats voxels, and a view fades to what is outside.
    torch.testing.assert_close(seen[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-5, rtol=1e-4)
    classes = one_hot(mask.long()).movedim(-1, 0).float()
    shares = interpolate(classes[None], size=(12, 16, 5), mode="trilinear")[0]
    first, second = shares.topk(2, dim=0).values
    is_sure = (first - second > 1e-3)[1:-1, 1:-1]
    assert 0.5 < is_sure.float().mean() < 1
    assert torch.equal(labels[1:-1, 1:-1][is_sure], shares.argmax(0)[1:-1, 1:-1][is_sure].byte())


def test_the_mask_of_a_warped_view_is_nearer_to_the_truth_than_the_nearest_voxels():
    ball = torch.linspace(-1, 1, 24).square()
    inside = 0.5 - (ball[:, None, None] + ball[:, None] + ball)
    geometry = VolumeGeometry(
        starts=(2, 2, 2), size=(20, 20, 20), flips=(False,) * 3, angles=(0.3, 0.2, 0.1)
    )
    matrix = geometry.matrix()
    nearest = affine_transform(
        (inside > 0).numpy().astype(np.uint8),
        matrix,
        offset=np.array(geometry.centre) - matrix @ np.full(3, 9.5),
        output_shape=geometry.size,
        order=0,
    )
    seen = cut_mask((inside > 0).byte(), geometry)
    true = cut_image(inside[None], geometry)[0] > 0
    wrong, before = (
        int(((seen == 1) != true).sum()),
        int((torch.from_numpy(nearest == 1) != true).sum()),
    )
    assert 0 < wrong < 0.75 * before


def test_a_bent_view_looks_where_its_points_say():
    image, _ = volume(channels=1)
    bend = np.random.default_rng(1).normal(scale=1.5, size=(3, 5, 5, 5))
    spacing = (1.0, 2.0, 0.5)
    geometry = VolumeGeometry(
        starts=(0.0, 0.0, 0.0), size=SIZE, flips=(False,) * 3, spacing=spacing, bend=bend
    )
    aside = [
        zoom(along / step, np.array(SIZE) / 5, order=3, mode="nearest", grid_mode=True)
        for along, step in zip(bend, spacing, strict=True)
    ]
    expected = map_coordinates(
        image[0].numpy(), np.indices(SIZE) + np.stack(aside), order=1, mode="constant"
    )
    # scipy ends at the last voxel, torch half a voxel beyond it.
    where = np.indices(SIZE) + np.stack(aside)
    inside = np.all([(w >= 0) & (w <= n - 1) for w, n in zip(where, SIZE, strict=True)], axis=0)
    assert inside.mean() > 0.3
    seen = cut_image(image, geometry)[0].numpy()
    assert np.abs(seen - expected)[inside].max() < 1e-4


def test_bending_changes_no_other_draw():
    flat = VolumeAugmentation(rotation=10, noise=0.1)
    bent = VolumeAugmentation(rotation=10, noise=0.1, elastic=1e-9)
    assert torch.allclose(view(flat)[0], view(bent)[0], atol=1e-5)
    assert not torch.allclose(view(flat)[0], view(VolumeAugmentation(rotation=10, elastic=1))[0])


def test_without_warp_probability_voxels_are_copied():
    image, _ = volume()
    seen, _ = view(VolumeAugmentation(rotation=90, scale=(0.5, 2), warp_probability=0, flip=0))
    assert torch.equal(seen, image)


def test_a_view_depends_on_seed_epoch_and_index_alone():
    augmentation = VolumeAugmentation(
        size=(8, 8, 8), rotation=20, gamma=0.3, bias_field=0.3, noise=0.2, blur=0.5
    )
    first, again, other = (view(augmentation, index=index)[0] for index in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_does_not_move_the_view():
    quiet = view(VolumeAugmentation(size=(4, 4, 4)))
    loud = view(VolumeAugmentation(size=(4, 4, 4), noise=0.5))
    assert torch.equal(quiet[1], loud[1])
    assert not torch.equal(quiet[0], loud[0])


def test_the_bias_field_is_its_polynomial():
    coefficients = np.random.default_rng(0).uniform(-0.5, 0.5, 19)
    d, h, w = (np.linspace(-1, 1, length) for length in (3, 4, 5))
    exponents = [
        (i, j, k) for i in range(4) for j in range(4) for k in range(4) if 1 <= i + j + k <= 3
    ]
    expected = np.exp(
        sum(
            c * d[:, None, None] ** i * h[:, None] ** j * w**k
            for c, (i, j, k) in zip(coefficients, exponents, strict=True)
        )
    )
    np.testing.assert_allclose(bias_field((3, 4, 5), coefficients), expected, rtol=1e-6)


def test_gamma_is_monais_with_statistics_kept():
    image, _ = volume(channels=1)
    oracle = AdjustContrast(gamma=1.4, retain_stats=True)(image.clone())
    apply_intensity(image, [IntensityTransform(gamma=1.4)], np.random.default_rng(0))
    np.testing.assert_allclose(image.numpy(), np.asarray(oracle), atol=1e-3)


def test_what_is_outside_stays_0():
    image, _ = volume()
    image[:, :3] = 0
    change = IntensityTransform(
        brightness=1.2, contrast=0.8, gamma=1.3, bias_field=0.4, noise=0.3, blur=1
    )
    apply_intensity(image, [change, change], np.random.default_rng(0))
    assert not image[:, :3].any()
    assert image[:, 3:].all()


def test_modality_dropout_leaves_one_channel():
    image = torch.ones(4, *SIZE)
    seen, _ = view(VolumeAugmentation(modality_dropout=1), image=image)
    assert sorted(float(channel.mean()) for channel in seen) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (8, 8)}, "three lengths"),
        ({"scale": (0, 1)}, "scale"),
        ({"fit": "stretch"}, "without a size"),
        ({"rotation": 200}, "0 to 180"),
        ({"foreground": 1.5}, "probabilities"),
        ({"contrast": 2}, "brightness"),
        ({"flip_axes": (1, 3)}, "expected some of 0, 1, 2"),
        ({"gamma": -1}, "gamma"),
    ],
)
def test_what_is_not_possible_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        VolumeAugmentation(**changes)


def test_images_and_other_types_are_refused():
    image, mask = volume()
    with pytest.raises(ShapeError, match="expected \\(C, D, H, W\\) float32"):
        view(VolumeAugmentation(), image=image.double())
    with pytest.raises(ShapeError, match="one size and uint8"):
        view(VolumeAugmentation(), mask=mask[1:])
