"""The device of a run, which is exactly one, and its properties."""

import contextlib
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

from explorer.host.errors import InputError
from explorer.host.machine import cpu_features, cpu_name, driver_version, has_mps, memory_bytes

# Texts of torch, oneDNN and CUDA libraries for a refused allocation.
_NO_MEMORY = (
    "DefaultCPUAllocator",
    "could not create a memory object",
    "out of memory",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
)
# Texts that mean too little memory only where there is little: the libraries then get no workspace and find no kernel.
_NO_WORKSPACE = (
    "unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm",
    "CUDNN_STATUS_NOT_SUPPORTED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)
_LITTLE = 0.1  # of a GPU's memory

_BFLOAT16_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # names in Linux of x86 and Arm instruction sets


def resolve(device: str) -> str:
    """Turn auto, cpu or cuda into "cpu" or "cuda". Raises InputError for a device that does not exist."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            f"device=cuda: no CUDA device can be used here (torch {torch.__version__}); allowed: auto, cpu"
        )
    return "cuda" if available and device != "cpu" else "cpu"


def device_name(device: str) -> str:
    """Model of the device, for display and to distinguish machines."""
    return torch.cuda.get_device_name() if device == "cuda" else cpu_name()


def like_devices(device: str) -> tuple[int, ...]:
    """Indices of the GPUs of the first one's model: other models may give results with other last bits."""
    if device != "cuda":
        return (0,)
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return tuple(place for place, name in enumerate(names) if name == names[0])


def uuids(device: str) -> tuple[str, ...]:
    """What NVIDIA calls the GPUs that runs may use, in the order of `like_devices`; empty for the CPU."""
    if device != "cuda":
        return ()
    return tuple(f"GPU-{torch.cuda.get_device_properties(place).uuid}" for place in like_devices(device))


def gpu_versions(device: str) -> dict[str, str]:
    """Versions of the software between torch and a GPU; empty for the CPU."""
    if device != "cuda":
        return {}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    found = {"cuda": str(torch.version.cuda), "cudnn": str(cudnn), "driver": driver_version()}
    with contextlib.suppress(PackageNotFoundError):  # torch has it on Linux alone
        found["triton"] = version("triton")
    return found | ({"mps": "on"} if has_mps() else {})


def has_bfloat16(device: str) -> bool:
    """Whether the device can compute in bfloat16; only a measurement shows whether that is faster."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_fast_bfloat16(device: str) -> bool:
    """Whether the device has hardware units for bfloat16, as NVIDIA GPUs since Ampere; it should then beat float32."""
    if not has_bfloat16(device):
        return False
    if device == "cuda":
        return bool(torch.cuda.get_device_capability() >= (8, 0))
    return not _BFLOAT16_UNITS.isdisjoint(cpu_features().split())


def has_float16(device: str) -> bool:
    """Whether the device is a GPU with hardware units for float16, as NVIDIA's since Volta."""
    return device == "cuda" and bool(torch.cuda.get_device_capability() >= (7, 0))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means too little memory; torch has no exception type for that on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return any(words in text for words in _NO_MEMORY) or (
        any(words in text for words in _NO_WORKSPACE) and _has_little_memory()
    )


def _has_little_memory() -> bool:
    """Whether this process uses a GPU that is nearly full; false where the GPU does not answer any more."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError:
        return False
    return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated() < _LITTLE * total


def is_usable(device: str) -> bool:
    """Whether this process can still use its device, which an error may have made unusable."""
    try:
        finish(device)
    except RuntimeError:
        return False
    return True


def finish(device: str) -> None:
    """Wait until a device has done everything it was asked to do; a CPU has."""
    if device == "cuda":
        torch.cuda.synchronize()


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of some work on a device, from when the device is free to when it has ended."""
    finish(device)
    began = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - began


def release_memory() -> None:
    """Release GPU memory that torch keeps for reuse, for other processes that share the GPU."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def device_memory(device: str) -> int:
    """Bytes of memory of the device that this process can have: on a GPU those that no other process holds."""
    if device != "cuda":
        return memory_bytes()
    return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())


def held_memory(device: str) -> int:
    """Bytes of a GPU's memory that this process's tensors take; 0 on the CPU, whose images all processes share."""
    return int(torch.cuda.memory_allocated()) if device == "cuda" else 0


def warm_up(device: str) -> None:
    """Load what the first step would wait for: what torch's optimisers import, and on a GPU CUDA's libraries."""
    weight = torch.zeros(1, device=device, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=True).step()
    if device != "cuda":
        return
    for kind in (torch.float32, torch.bfloat16) if has_bfloat16(device) else (torch.float32,):
        conv = torch.nn.Conv2d(8, 8, 3, padding=1, device=device, dtype=kind)
        maps = torch.zeros(8, 8, 8, 8, device=device, dtype=kind).contiguous(memory_format=torch.channels_last)
        conv(maps).mean(dim=(2, 3)).square().sum().backward()
    matrix = torch.zeros(8, 8, device=device)
    torch.matmul(matrix, matrix)
    finish(device)
