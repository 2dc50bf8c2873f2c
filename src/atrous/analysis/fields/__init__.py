"""The field of every value of a graph: which inputs each output depends on, axis by axis."""
