"""Scans: whole or in parts, exact or blended."""
