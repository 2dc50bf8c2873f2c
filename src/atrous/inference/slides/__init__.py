"""Whole slides: plan, run, resume, blend."""
