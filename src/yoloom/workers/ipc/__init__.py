"""Messages and memory between a parent and its workers."""
