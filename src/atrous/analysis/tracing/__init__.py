"""One run of a network on fake tensors: its layers, operations, costs and memory."""
