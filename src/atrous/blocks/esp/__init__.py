"""ESPNet's blocks: reduce, split, transform, merge."""
