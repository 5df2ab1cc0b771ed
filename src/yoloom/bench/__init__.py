"""How fast is a model on this machine, beside the bare runtime? For `yoloom bench` and `benchmarks/`."""
