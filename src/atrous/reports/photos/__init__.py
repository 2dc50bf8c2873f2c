"""Results of photos: mattes, backgrounds, tables."""
