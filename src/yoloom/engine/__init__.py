"""Requests → contexts: the only place with threads. `policy.py` decides and has none of them."""
