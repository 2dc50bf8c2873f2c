"""Evaluate networks; later also train them."""
