"""From a name to a model file: local paths, downloads, and conversions that are kept.

```
name ─▶ locate ─▶ ModelFile (.onnx, OpenVINO IR)         ─┐
          │       CheckpointFile (.pt) ─▶ ConvertedFile  ─┴▶ formats.describe, and a runtime
          └ hub: a path, the cache of downloads, the publisher
```
"""
