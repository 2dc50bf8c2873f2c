"""Data sets made of others: a part, several joined, other classes."""
