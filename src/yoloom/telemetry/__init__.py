"""Histograms, charts and traces that several parts use."""
