"""Score a network on a data set: labels, masks, slides, volumes."""
