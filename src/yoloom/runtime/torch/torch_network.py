"""A checkpoint's network on a device: pixels in, ranked candidates out."""

from __future__ import annotations

import threading
import weakref

from yoloom.errors import InvalidModel, UnsupportedModel
from yoloom.formats.checkpoint.network.build import has_branch, outputs
from yoloom.formats.checkpoint.parse import read_checkpoint
from yoloom.formats.model import Layout, Model
from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch.tensor_ops import IMAGES, Canvas, TensorOps
from yoloom.runtime.torch.torch_device import DTYPES, TorchDevice, cuda_errors, kernels_for
from yoloom.runtime.torch.torch_import import torch

MOST_CANDIDATES = 1024
"""Rows that come back for each image; the others stay on the device unless somebody wants them."""

_BOX, _SCORE = 4, 4  # values of a box; column of the score
_RANKING = 4  # tensors behind the outputs, from which `all_candidates` makes the rows that were left out

Tensors = tuple[torch.Tensor, ...]


class TorchNetwork:
    """The weights and the steps of a network on one device. Thread safety: any number of threads (immutable).

    Attributes:
        layout: The layout of its first output: END2END, CANDIDATES, or RAW for a classifier.
        weights_bytes: Memory of its weights on the device.
    """

    def __init__(self, model: Model, device: TorchDevice, precision: Precision) -> None:
        """Read the checkpoint and bring its weights to the device.

        Raises:
            UnsupportedModel: The file is no checkpoint, or has parts that yoloom does not know.
            InvalidModel: The checkpoint contradicts itself, or has changed since it was described.
            MemoryError: The device has no room for the weights.
        """
        if not model.graph.is_checkpoint:
            raise UnsupportedModel(
                f"{model.graph.path}: expected an Ultralytics .pt file for backend 'torch', got "
                f"{model.graph.path.suffix or 'a folder'}: open its checkpoint, or take device='cpu', where .onnx "
                "files and OpenVINO IR run; on a GPU .onnx files need backend='onnxruntime' with onnxruntime-gpu."
            )
        checkpoint = read_checkpoint(model.graph.path)
        end2end = model.layout is Layout.END2END
        classifies = model.task == "classify"
        there = has_branch(checkpoint, end2end) or (not end2end and classifies)
        if not there:
            raise InvalidModel(f"{model.graph.path} has another head than when it was opened: open it again.")
        self._device = device
        self._dtype = DTYPES[precision]
        self._classes = checkpoint.nc
        self.layout = Layout.CANDIDATES if model.layout is Layout.RAW and not classifies else model.layout
        with cuda_errors(), kernels_for(device, precision):
            ops = TensorOps(device.torch_device, self._dtype)
            results = outputs(ops, checkpoint, IMAGES, one_to_one=end2end)
            self._program = ops.program([result.value for result in results])
            if device.is_cuda:  # lanes have streams of their own, which wait for nothing on this one
                torch.cuda.current_stream(device.index).synchronize()
        self.weights_bytes = ops.weights_bytes
        self._lock = threading.Lock()  # guards _canvases
        self._canvases: weakref.WeakValueDictionary[tuple[int, int], Canvas] = weakref.WeakValueDictionary()

    def canvas(self, hw: tuple[int, int]) -> Canvas:
        """The constants of one size of images. Whoever captures a run keeps them for as long as its graph lives."""
        with self._lock:
            canvas = self._canvases.get(hw)
            if canvas is None:
                self._canvases[hw] = canvas = Canvas(self._device.torch_device)
            return canvas

    def run(self, images: torch.Tensor, canvas: Canvas) -> Tensors:
        """Compute everything: the outputs, and behind them what ranks the candidates.

        Args:
            images: (B, H, W, 3) uint8 BGR on the device.
            canvas: The constants of their size.

        Returns:
            Float32 tensors: (B, K, 6 + extras) candidates or rows, or (B, classes); the prototypes of masks;
            for candidates the raw output (B, 4 + classes + extras, A), classes, scores and order (B, A) of anchors.
        """
        pixels = images.flip(3).permute(0, 3, 1, 2).to(self._dtype).div(255)  # channels last in memory, as it was
        raw, *others = self._program.run(pixels.contiguous(memory_format=torch.channels_last), canvas)
        if self.layout is not Layout.CANDIDATES:
            return raw, *others
        ranking = self._ranked(raw)
        return self._candidates(MOST_CANDIDATES, *ranking), *others, *ranking

    def outputs(self, tensors: Tensors) -> Tensors:
        """Choose the tensors of a run that are for the caller."""
        return tensors[:-_RANKING] if self.layout is Layout.CANDIDATES else tensors

    def measured(self, tensors: Tensors) -> Tensors:
        """Choose the tensors that say how far two runs are apart: no order that a near tie could turn round."""
        if self.layout is Layout.CANDIDATES:
            return tensors[1:-_RANKING] + tensors[-_RANKING : 1 - _RANKING]
        return (tensors[0][:, :, _SCORE],) if self.layout is Layout.END2END else tensors

    def leaves_out(self, first: torch.Tensor, lowest_score: float) -> bool:
        """Tell whether a candidate above `lowest_score` may be missing from the first output of a run."""
        if self.layout is not Layout.CANDIDATES or first.shape[1] < MOST_CANDIDATES:
            return False
        return bool((first[:, -1, _SCORE] > lowest_score).any())

    def all_candidates(self, tensors: Tensors) -> torch.Tensor:
        """The rows of all anchors, (B, A, 6 + extras), best first, from the tensors of a run."""
        ranking = tensors[-_RANKING:]
        return self._candidates(ranking[-1].shape[1], *ranking)

    def _ranked(self, raw: torch.Tensor) -> Tensors:
        """Best class and score of each anchor, and the order from the highest score down, the first of equals first."""
        best = raw[:, _BOX : _BOX + self._classes].max(dim=1)
        # A sort puts what is no number first, where it would push candidates out; nobody wants it.
        scores = best.values.masked_fill(best.values.isnan(), -1.0)
        ordered = torch.sort(scores, dim=1, descending=True, stable=True)
        return raw, best.indices, ordered.values, ordered.indices

    def _candidates(
        self, count: int, raw: torch.Tensor, classes: torch.Tensor, scores: torch.Tensor, order: torch.Tensor
    ) -> torch.Tensor:
        """The first rows x, y, w, h, score, class, extras."""
        order = order[:, :count]
        boxes, extras = raw[:, :_BOX], raw[:, _BOX + self._classes :]
        parts = [
            boxes.gather(2, order[:, None].expand(-1, _BOX, -1)),
            scores[:, None, :count],
            classes.gather(1, order)[:, None].to(torch.float32),
            extras.gather(2, order[:, None].expand(-1, extras.shape[1], -1)),
        ]
        return torch.cat(parts, dim=1).transpose(1, 2).contiguous()
