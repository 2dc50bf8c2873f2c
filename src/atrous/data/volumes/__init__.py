"""Volumes: geometry, reading and writing NIfTI files."""
