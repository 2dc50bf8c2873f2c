"""Layouts: the ways people keep images and their masks in folders."""
