"""What is done to an image or a volume before a network sees it."""

from atrous.networks.preprocessing.images import Preprocessing, preprocess

__all__ = ["Preprocessing", "preprocess"]
