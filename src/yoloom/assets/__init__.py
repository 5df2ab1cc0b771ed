"""Files that come with the package."""

from pathlib import Path

DEMO_MODEL = Path(__file__).with_name("demo.onnx")
"""A small detector for the bundled scenes (`yoloom.scenes`): dynamic, 12 classes."""
