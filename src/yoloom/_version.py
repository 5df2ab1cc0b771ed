"""The version of the package, where packaging tools and all parts of it read it."""

__version__ = "0.1.0"
