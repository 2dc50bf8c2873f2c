"""Pages of costs and fields."""
