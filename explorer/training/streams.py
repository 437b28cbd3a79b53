"""Independent random streams from one seed, so that a change in one use of randomness does not affect the others."""

import hashlib
from typing import Literal

import torch

Purpose = Literal["initialisation", "order", "augmentation"]


def stream(seed: int, purpose: Purpose) -> torch.Generator:
    """A generator on the CPU that depends on the seed and the purpose alone, never on architecture or device."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def step_stream(seed: int, name: str, step: int) -> torch.Generator:
    """A generator on the CPU for what an extension draws in one step of a run; `name` is that of its part."""
    digest = hashlib.sha256(f"{seed}/added/{name}/{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
