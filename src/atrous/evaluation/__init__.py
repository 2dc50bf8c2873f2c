"""From predictions and truth to a score: one record each, then a summary."""
