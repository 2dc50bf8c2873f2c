"""Pages and pictures of data sets."""
