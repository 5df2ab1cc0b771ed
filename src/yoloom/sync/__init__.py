"""Locks, threads and clocks for the layers above; nothing here knows a model."""
