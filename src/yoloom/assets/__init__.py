"""Files that come with the package: a small model, and pictures of what it knows."""

from pathlib import Path

DEMO_MODEL = Path(__file__).with_name("demo.onnx")
"""A small detector for synthetic scenes: any image size, 12 classes (apple, balloon, boat, ...)."""

PICTURES = tuple(Path(__file__).with_name(f"scene-{number}.jpg") for number in range(1, 9))
"""Eight synthetic scenes, 640 x 480 pixels, that the model was not trained on (made by `tools/bundled_pictures.py`)."""
