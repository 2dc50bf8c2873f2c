"""Tiles: what fits in memory, how much context they need, and how they are put together."""
