"""Plans: measured once, and kept."""
