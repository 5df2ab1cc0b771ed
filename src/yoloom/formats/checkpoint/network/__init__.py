"""Rebuilding the network of a checkpoint from its tree of modules. Knows no file."""
