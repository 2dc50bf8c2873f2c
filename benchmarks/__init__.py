"""Timings of our paths against named baselines; run with `make bench`."""
