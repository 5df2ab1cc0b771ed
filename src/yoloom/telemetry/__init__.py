"""Measures and charts that several parts use."""
