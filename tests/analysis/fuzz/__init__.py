"""Random small models, the truth about them, and verdicts on what the analysis says of them."""
