"""Measures how fast a model is on this machine, beside the bare runtime. For `yoloom bench` and `benchmarks/`."""
