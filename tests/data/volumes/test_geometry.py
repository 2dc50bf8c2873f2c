"""What is painted in world coordinates comes back there, whatever the scan's affine."""

import numpy as np
import pytest
import torch
from torch import nn

from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

from atrous.data.volumes.read import read_volume  # noqa: E402
from atrous.data.volumes.write import write_mask_volume  # noqa: E402
from atrous.inference.volumes.predictor import VolumePredictor, VolumeSettings  # noqa: E402

SIZE = (9, 8, 10)


class Threshold(nn.Module):
    """Says class 1 where the scan is above a half: the label that was painted."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 1)
        with torch.no_grad():
            self.conv.weight[:] = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1, 1)
            self.conv.bias[:] = torch.tensor([0.5, 0.0])

    def forward(self, x):
        return self.conv(x)


@pytest.fixture(scope="module")
def predictor():
    card = Card(
        name="a.b",
        network="espnet3d",
        task="segmentation",
        class_names=("background", "painted"),
        palette=((0, 0, 0), (255, 0, 0)),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
        volume=VolumeSpec(channel_names=("t1",), crop="nonzero"),
    )
    return VolumePredictor(Threshold(), card)


def random_affine(rng):
    """Axes in any order and direction, turned by any angle up to 45 degrees, of any spacing."""
    turn, _ = np.linalg.qr(np.eye(3) + rng.uniform(-0.4, 0.4, size=(3, 3)))
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], size=3)
    affine = np.eye(4)
    affine[:3, :3] = (turn if rng.random() < 0.7 else np.eye(3)) @ axes * rng.uniform(0.4, 5, 3)
    affine[:3, 3] = rng.uniform(-100, 100, size=3)
    return affine


def test_a_label_painted_in_the_world_comes_back_there_for_200_affines(predictor, tmp_path):
    rng = np.random.default_rng(0)
    options = VolumeSettings(context="whole")
    indices = np.stack(np.meshgrid(*map(np.arange, SIZE), indexing="ij"), axis=-1).reshape(-1, 3)
    for number in range(200):
        affine = random_affine(rng)
        world = indices @ affine[:3, :3].T + affine[:3, 3]
        ball = np.linalg.norm(world - world[rng.integers(len(world))], axis=1)
        painted = (ball < np.quantile(ball, 0.2)).reshape(SIZE)
        image = nibabel.Nifti1Image(painted.astype(np.float32), affine)
        image.set_sform(affine, code=int(rng.integers(1, 5)))
        image.set_qform(affine, code=int(rng.integers(0, 5)))
        path, result = tmp_path / "scan.nii", tmp_path / "labels.nii"
        nibabel.save(image, path)
        volume = read_volume(path)
        write_mask_volume(result, predictor.predict(volume, options).mask, volume.geometry)
        scan, said = nibabel.load(path), nibabel.load(result)
        assert np.array_equal(said.affine, scan.affine), number
        assert said.shape == scan.shape
        for code in ("sform_code", "qform_code"):
            assert said.header[code] == scan.header[code]
        assert np.array_equal(np.asarray(said.dataobj).astype(bool), painted), number
