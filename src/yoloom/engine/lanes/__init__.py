"""Where requests run."""
