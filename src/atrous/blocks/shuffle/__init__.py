"""ShuffleNet's blocks, versions 1 and 2."""
