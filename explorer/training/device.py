"""Which device a run uses: exactly one."""

import torch

from explorer.host.errors import InputError
from explorer.host.machine import cpu_features, cpu_name, driver_version, memory_bytes

# What torch, oneDNN and CUDA's libraries say when they are refused memory.
_NO_MEMORY = ("DefaultCPUAllocator", "could not create a memory object", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")

_BFLOAT16_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # of x86 and Arm processors, as Linux names them


def resolve(device: str) -> str:
    """Turn auto, cpu or cuda into "cpu" or "cuda". Raises InputError for a device that is not there."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError(
            f"device=cuda: no CUDA device can be used here (torch {torch.__version__}); allowed: auto, cpu"
        )
    return "cuda" if available and device != "cpu" else "cpu"


def device_name(device: str) -> str:
    """Model of the device, for people and for telling machines apart."""
    return torch.cuda.get_device_name() if device == "cuda" else cpu_name()


def like_devices(device: str) -> tuple[int, ...]:
    """Places of the GPUs of the first one's model: on another model the last bits of a result may be others."""
    if device != "cuda":
        return (0,)
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return tuple(place for place, name in enumerate(names) if name == names[0])


def gpu_versions(device: str) -> dict[str, str]:
    """Versions of what lies between torch and a GPU; none for the CPU."""
    if device != "cuda":
        return {}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {"cuda": str(torch.version.cuda), "cudnn": str(cudnn), "driver": driver_version()}


def has_bfloat16(device: str) -> bool:
    """Whether the device computes in bfloat16; whether that is faster is for a measurement to say."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_fast_bfloat16(device: str) -> bool:
    """Whether it has units of its own for bfloat16, which should then be faster than float32: NVIDIA's since Ampere."""
    if not has_bfloat16(device):
        return False
    if device == "cuda":
        return bool(torch.cuda.get_device_capability() >= (8, 0))
    return not _BFLOAT16_UNITS.isdisjoint(cpu_features().split())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice; torch has no type of its own for the CPU's."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in str(error) for words in _NO_MEMORY)


def is_usable(device: str) -> bool:
    """Whether this process can still compute on its device, of which an error may have deprived it."""
    if device != "cuda":
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def release_memory() -> None:
    """Give a GPU's memory that torch keeps for later to the other processes that share it."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def device_memory(device: str) -> int:
    """Bytes of memory that the device has."""
    return torch.cuda.get_device_properties(0).total_memory if device == "cuda" else memory_bytes()
