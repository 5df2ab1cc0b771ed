"""Reading a checkpoint as data."""
