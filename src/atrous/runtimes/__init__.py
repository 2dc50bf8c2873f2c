"""Networks in the files and engines of others: one graph at every size, with its card inside."""
