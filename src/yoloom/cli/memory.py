"""The process's memory, where the commands look for it."""

from yoloom.system.memory import MIB, resident_bytes

__all__ = ["MIB", "resident_bytes"]
