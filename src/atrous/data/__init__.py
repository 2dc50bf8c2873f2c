"""Samples, readers, and the folder layouts users have on disk."""

from atrous.data.catalog import LAYOUTS, open_layout
from atrous.data.dataset import Dataset, Sample
from atrous.data.layouts.ade20k import ADE20K
from atrous.data.layouts.brats import BraTS
from atrous.data.layouts.camvid import CamVid
from atrous.data.layouts.cityscapes import Cityscapes
from atrous.data.layouts.coco_panoptic import COCOPanoptic
from atrous.data.layouts.coco_stuff import COCOStuff, COCOStuffOnly
from atrous.data.layouts.decathlon import Decathlon
from atrous.data.layouts.image_folder import ImageFolder
from atrous.data.layouts.joint_folder import JointFolder
from atrous.data.layouts.mask_folder import BinaryFolder, MaskFolder
from atrous.data.layouts.nnunet import NnUNet
from atrous.data.layouts.voc import VOC
from atrous.data.layouts.volume_folder import VolumeFolder
from atrous.data.listing import list_images
from atrous.data.photos.mask import read_mask
from atrous.data.photos.raster import DEFAULT_MAX_PIXELS, IMAGE_SUFFIXES
from atrous.data.photos.read import read_image, read_rgb8
from atrous.data.volumes.geometry import Volume, VolumeGeometry
from atrous.data.volumes.read import is_volume, read_mask_volume, read_volume
from atrous.data.volumes.write import write_mask_volume

__all__ = [
    "ADE20K",
    "DEFAULT_MAX_PIXELS",
    "IMAGE_SUFFIXES",
    "LAYOUTS",
    "VOC",
    "BinaryFolder",
    "BraTS",
    "COCOPanoptic",
    "COCOStuff",
    "COCOStuffOnly",
    "CamVid",
    "Cityscapes",
    "Dataset",
    "Decathlon",
    "ImageFolder",
    "JointFolder",
    "MaskFolder",
    "NnUNet",
    "Sample",
    "Volume",
    "VolumeFolder",
    "VolumeGeometry",
    "is_volume",
    "list_images",
    "open_layout",
    "read_image",
    "read_mask",
    "read_mask_volume",
    "read_rgb8",
    "read_volume",
    "write_mask_volume",
]
