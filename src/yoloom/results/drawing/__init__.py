"""Results on pictures."""
