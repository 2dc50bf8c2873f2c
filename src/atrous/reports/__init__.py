"""Overlays, plots, tables and self-contained pages."""
