"""PyTorch: checkpoints run on an NVIDIA GPU, or on torch's own CPU device, without ONNX in between.

```
 .pt ─▶ TensorOps ─▶ TensorProgram ─▶ TorchNetwork ─▶ TorchCompiled ──context()──▶ TorchContext (a lane)
        records       weights once     decode, rank     batch sizes, bits           stream, graphs, buffers: `Graphs`
```

Nothing outside of this folder imports torch, and `import yoloom` does not import this folder.
"""
