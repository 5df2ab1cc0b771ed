"""Runtimes: one file a backend, the same small protocol, held by one contract suite."""
