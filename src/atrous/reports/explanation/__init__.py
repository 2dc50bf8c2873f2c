"""A layer or a chain of them on paper: the working as text and as JSON."""
