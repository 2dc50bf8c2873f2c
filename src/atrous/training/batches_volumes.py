"""Views of volumes: the same keys and batches as of images, cut out of prepared volumes."""

from dataclasses import replace

from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from atrous.data.augment.photos import sample_rng
from atrous.data.augment.volumes import VolumeAugmentation, augment_volume
from atrous.training.batches import NO_LABEL, Key
from atrous.training.volume_cache import VolumeCache


class VolumeViews(TorchDataset[tuple[Tensor, Tensor | None, int, str]]):
    """Augmented views of prepared volumes by `Key`; an index stands for a volume's view.

    Args:
        volumes: Prepared.
        names: Of the volumes.
        augmentation: How far views may differ; its size is overruled by the key's.
        seed: Of the whole training.
        views_per_volume: Indices that each volume has.
    """

    def __init__(
        self,
        volumes: VolumeCache,
        names: tuple[str, ...],
        augmentation: VolumeAugmentation,
        *,
        seed: int,
        views_per_volume: int,
    ) -> None:
        self.volumes, self.names, self.augmentation = volumes, names, augmentation
        self.seed, self.views_per_volume = seed, views_per_volume

    def __len__(self) -> int:
        return len(self.volumes) * self.views_per_volume

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor | None, int, str]:
        index = key.index // self.views_per_volume
        volume = self.volumes[index]
        image, mask = volume.tensors()
        view, seen = augment_volume(
            image,
            mask,
            replace(self.augmentation, size=key.size),
            sample_rng(self.seed, epoch=key.epoch, index=key.index),
            spacing=volume.spacing,
        )
        return view, seen, NO_LABEL, self.names[index]
