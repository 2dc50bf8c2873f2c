"""Losses of segmentation and classification, one file each; `catalog.py` names them."""
