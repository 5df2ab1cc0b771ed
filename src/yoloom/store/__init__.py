"""From a name to a file: downloads, and conversions that are kept."""
