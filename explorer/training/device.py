"""Which device a run uses: exactly one."""

import torch

from explorer.errors import InputError
from explorer.machine import cpu_name


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
