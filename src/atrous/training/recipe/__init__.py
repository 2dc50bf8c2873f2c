"""Recipes: the file, its keys, and what they mean."""
