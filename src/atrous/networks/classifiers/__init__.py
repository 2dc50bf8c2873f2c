"""Classification networks made of the blocks."""
