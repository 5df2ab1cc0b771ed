"""The device that torch computes on: whether it is there, its number formats, its kernels, and how it fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from yoloom.errors import BackendUnavailable, ForkedEngine, UnknownDevice
from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch.torch_import import torch
from yoloom.sync.fork import after_fork_in_child

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.TF32: torch.float32,
    Precision.FP16: torch.float16,
    Precision.BF16: torch.bfloat16,
}
"""Number format of the weights, for each precision."""

_AMPERE = (8, 0)  # the first compute capability with bfloat16 and TF32
_NO_MEMORY = (
    "out of memory",
    "ALLOC_FAILED",
)  # a graph's instantiation, cuDNN and cuBLAS have no class of error for it

# Guards the process-wide flags of torch that choose kernels, and with them every capture and every run without a graph:
# they are read when work is queued, so two models of different precision must not queue at the same time. Also held
# while cached memory is given back, which torch's allocator refuses while any thread captures. Innermost of all locks.
_kernel_lock = threading.RLock()


@after_fork_in_child
def _reset_after_fork() -> None:
    global _kernel_lock
    _kernel_lock = threading.RLock()


class DeviceLost(RuntimeError):
    """The process can not use the device any more: what failed there fails for ever."""


class TorchDevice:
    """A device by its name, checked. Thread safety: any number of threads (immutable).

    Attributes:
        name: "cpu" or "cuda:N".
        description: The name with the card's own, as "cuda:0 NVIDIA H200".
        index: Number of the GPU, 0 on a CPU.
        is_cuda: Whether it is a GPU.
        torch_device: The device as torch takes it.
    """

    def __init__(self, name: str) -> None:
        """Check that the device is there.

        Args:
            name: "cpu", "cuda" (the first one) or "cuda:N".

        Raises:
            UnknownDevice: No such name, or no GPU of that number.
            BackendUnavailable: This torch is made for CPUs, no driver was found, or the GPU is too old for it.
            ForkedEngine: CUDA was used before this process was forked.
        """
        kind, _, number = name.partition(":") if isinstance(name, str) else (name, "", "")
        if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isdecimal() and number.isascii())):
            raise UnknownDevice(f"device must be 'cuda', 'cuda:N' or 'cpu' for backend 'torch', got {name!r}.")
        if ":" in name and not number:
            raise UnknownDevice(f"device must have a number after the colon, as 'cuda:0', got {name!r}.")
        self.index = int(number or 0)
        self.is_cuda = kind == "cuda"
        if self.is_cuda:
            _check_cuda(self.index)
        self.name = f"cuda:{self.index}" if self.is_cuda else "cpu"
        self.description = f"{self.name} {torch.cuda.get_device_name(self.index)}" if self.is_cuda else "cpu"
        self.torch_device = torch.device(self.name)

    @property
    def version(self) -> str:
        """The versions that decide about bits: torch's, and on a GPU those of CUDA and cuDNN."""
        if not self.is_cuda:
            return str(torch.__version__)
        return f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"

    def precisions(self) -> tuple[Precision, ...]:
        """Number formats that the device computes natively, the default first."""
        if not self.is_cuda:
            return (Precision.FP32, Precision.BF16)
        newer = torch.cuda.get_device_capability(self.index) >= _AMPERE
        return (Precision.FP16, Precision.FP32) + ((Precision.BF16, Precision.TF32) if newer else ())


def _check_cuda(index: int) -> None:
    if not torch.backends.cuda.is_built():
        raise BackendUnavailable(
            f"device 'cuda' needs a PyTorch built for CUDA, got {torch.__version__}, which computes on CPUs only: "
            "install it with the index for your CUDA version from pytorch.org."
        )
    if not torch.cuda.is_available():
        raise BackendUnavailable(
            f"device 'cuda' needs an NVIDIA driver and a GPU that this process may see, got none (PyTorch "
            f"{torch.__version__}, CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')!r}): see what "
            "nvidia-smi says, or take device='cpu'."
        )
    count = torch.cuda.device_count()
    if index >= count:
        names = "'cuda:0'" if count == 1 else f"'cuda:0' to 'cuda:{count - 1}'"
        raise UnknownDevice(f"device must be {names} on this machine, got 'cuda:{index}'.")
    with cuda_errors():
        capability = torch.cuda.get_device_capability(index)
        # Compute capabilities of names such as sm_90a.
        built_for = [
            "".join(filter(str.isdigit, name)) for name in torch.cuda.get_arch_list() if name.startswith("sm_")
        ]
        oldest = min(((int(one[:-1]), int(one[-1])) for one in built_for if len(one) > 1), default=(0, 0))
    if capability < oldest:
        raise BackendUnavailable(
            f"PyTorch {torch.__version__} needs a GPU of compute capability {'.'.join(map(str, oldest))} or newer, got "
            f"{torch.cuda.get_device_name(index)} with {'.'.join(map(str, capability))}: install an older PyTorch."
        )


@contextmanager
def cuda_errors() -> Iterator[None]:
    """Turn what torch raises into MemoryError, DeviceLost or ForkedEngine; what is none of them passes."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(str(error).splitlines()[0]) from error
    except RuntimeError as error:
        message = str(error)
        if any(words in message for words in _NO_MEMORY):
            raise MemoryError(message.splitlines()[0]) from error
        if "forked subprocess" in message:
            raise ForkedEngine(
                "CUDA was used before this process was forked, and can not be used here: start processes with "
                "multiprocessing.get_context('spawn'), or open the first model after the fork."
            ) from error
        # An error of CUDA ends the device for this process; an invalid capture does not.
        of_cuda = isinstance(error, getattr(torch, "AcceleratorError", ())) or "CUDA error" in message
        if of_cuda and "captur" not in message:
            raise DeviceLost(message.splitlines()[0]) from error
        raise


@contextmanager
def exclusive_capture() -> Iterator[None]:
    """Hold the lock under which the process captures one run at a time, and runs without graphs on a GPU."""
    with _kernel_lock:
        yield


@contextmanager
def kernels_for(device: TorchDevice, precision: Precision) -> Iterator[None]:
    """Choose kernels for everything that is queued inside, in this thread and at this time.

    torch keeps these choices for the whole process. They are set here for a moment, behind a lock that all captures and
    all runs without a graph take, and put back; a graph keeps the kernels that it was captured with.
    """
    if not device.is_cuda:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            yield
        return
    with _kernel_lock, ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast("cuda", enabled=False))
        stack.enter_context(torch.cuda.device(device.index))
        stack.enter_context(_kernel_flags(precision))
        yield


@contextmanager
def _kernel_flags(precision: Precision) -> Iterator[None]:
    """Set the flags of torch for one precision, and put them back."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    narrow = precision is Precision.TF32
    flags: list[tuple[Any, str, Any]] = [
        (cudnn, "enabled", True),
        (cudnn, "benchmark", False),  # a choice by timing may differ from run to run
        (cudnn, "deterministic", True),  # transposed convolutions have kernels that add in any order
        (matmul, "allow_fp16_reduced_precision_reduction", False),
        (matmul, "allow_bf16_reduced_precision_reduction", False),
    ]
    if hasattr(cudnn, "conv"):  # torch 2.9 and newer, where the older flags must not be mixed with these
        word = "tf32" if narrow else "ieee"
        flags += [(cudnn.conv, "fp32_precision", word), (matmul, "fp32_precision", word)]
    else:
        flags += [(cudnn, "allow_tf32", narrow), (matmul, "allow_tf32", narrow)]
    before = [(place, name, getattr(place, name)) for place, name, _ in flags]
    try:
        for place, name, value in flags:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
