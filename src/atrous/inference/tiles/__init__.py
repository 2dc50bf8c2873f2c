"""Tiles of images and volumes: what fits in memory, how they are cut and put together."""
