"""A training run: its folder, data, start, checkpoints and records."""
