"""Networks, their catalog, model cards, weights and converters."""
