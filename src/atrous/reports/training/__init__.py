"""Curves and samples of a training run."""
