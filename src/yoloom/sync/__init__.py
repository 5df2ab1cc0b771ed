"""Locks, threads and clocks: nothing here knows a model."""
