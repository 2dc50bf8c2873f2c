"""Encoders for segmentation: our own, torchvision's and timm's."""
