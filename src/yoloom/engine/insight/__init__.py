"""Measurements of an engine, and its watchdog."""
