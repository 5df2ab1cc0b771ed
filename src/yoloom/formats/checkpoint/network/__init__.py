"""Rebuilding a checkpoint's network."""
