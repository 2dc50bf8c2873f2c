"""Results of volumes: pictures, viewers, BIDS."""
