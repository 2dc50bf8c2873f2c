"""Data drawn by the computer, whose truth is known."""
