"""Readers: from a file on disk to an array or tensor, or to one line that says what is wrong."""
