"""Results of slides: masks, polygons, measurements, overlays."""
