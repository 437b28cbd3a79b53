"""Independent random streams from one seed, so that a change in one use of randomness does not affect the others."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
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


def step_numbers(seed: int, name: str, step: int) -> np.random.Generator:
    """A generator on the CPU for what one part of a recipe of ours, named here, draws in one step of a run."""
    digest = hashlib.sha256(f"{seed}/recipe/{name}/{step}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def seed_all(seed: int, name: str, step: int) -> None:
    """Seed the generators that code of an extension may use without saying so: of torch, of Python and of numpy."""
    number = step_stream(seed, name, step).initial_seed()
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002 - what an added block may use


@contextmanager
def seeded(number: int) -> Iterator[None]:
    """Have these generators begin at a seed for a while; afterwards they go on as if nothing had been drawn."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what an added block may use
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


def host_state() -> tuple[object, ...]:
    """The state of the generators of Python and of numpy, to be compared."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return (random.getstate(), kind, np.asarray(keys).tobytes(), *rest)
