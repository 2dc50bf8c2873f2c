"""Every op of torch's own database of operators, against the analysis."""
