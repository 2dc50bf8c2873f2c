"""Whole-slide images: reading, masks, tissue, writing pyramids."""
