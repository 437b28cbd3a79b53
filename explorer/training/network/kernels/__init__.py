"""This project's C kernels for the CPU: functions of torch, in fewer passes over the maps.

They are compiled by the machine's C compiler when first needed and stored in the user's cache; without a compiler
torch's functions are used. Maps are in channels_last order, in float32 or bfloat16; sums are in float32 or
float64, and the same number of threads gives the same bits.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from explorer.host.cache import cache_folder, is_own
from explorer.host.formatting import in_one_line
from explorer.host.machine import cpu_features, cpu_name

FOLDER = Path(__file__).parent
# Not -ffast-math: NaN must be preserved, or a diverged run would not be noticed.
OPTIONS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC")
WIDE = "-mprefer-vector-width=512"  # only if the compiler supports it
KINDS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class Shape(ctypes.Structure):
    """Maps `(batch, rows, columns, channels)` in groups of `width` channels, and the threads to use."""

    _fields_ = [(name, ctypes.c_long) for name in ("batch", "rows", "columns")] + [
        (name, ctypes.c_int) for name in ("channels", "width", "threads")
    ]


_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
_ARGUMENTS = {
    "norm_forward": [_POINTER] * 9 + [_LONG, _INT, _FLOAT, _FLOAT, _INT, _INT],
    "norm_backward": [_POINTER] * 11 + [_LONG] + [_INT] * 3,
    "norm_known": [_POINTER] * 5 + [_LONG] + [_INT] * 3,
    "grouped_forward": [_POINTER] * 3 + [ctypes.POINTER(Shape)],
    "grouped_weights": [_POINTER] * 3 + [ctypes.POINTER(Shape)],
}


def is_available(device: str = "cpu") -> bool:
    """Whether the device's kernels exist or can be compiled."""
    try:
        require(device)
    except RuntimeError:
        return False
    return True


def require(device: str) -> None:
    """Compile the device's kernels if this machine has not done so before. Raises RuntimeError with the reason."""
    if device != "cuda":
        library()
        return
    try:
        from explorer.training.network import norms_triton
    except ImportError as error:
        raise RuntimeError(f"the kernels cannot be made here: {in_one_line(error)}") from None
    norms_triton.require()


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded kernels, compiled if this machine has not done so before. Raises RuntimeError with the reason."""
    try:
        # The kernels must use torch's own OpenMP library, found by name: two thread pools would compete for the cores.
        for runtime in Path(torch.__file__).parent.glob("lib/libgomp*"):
            ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
        found = _compiled()
        for name, arguments in _ARGUMENTS.items():
            for kind in KINDS.values():
                getattr(found, f"{name}_{kind}").argtypes = arguments
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"the kernels cannot be made here: {in_one_line(error)}") from None
    return found


def call(name: str, maps: Tensor, *arguments: Tensor | Shape | float | None) -> None:
    """Call the kernel for the maps' number type, with the maps as first argument. Raises MemoryError."""
    plain = (item.data_ptr() if isinstance(item, Tensor) else item for item in (maps, *arguments))
    if getattr(library(), f"{name}_{KINDS[maps.dtype]}")(*plain):
        raise MemoryError(f"the kernel {name} found no memory")


def by_channels(maps: Tensor) -> Tensor:
    """The maps in channels_last memory order, as the kernels read them."""
    return maps.contiguous(memory_format=torch.channels_last)


def _compiled() -> ctypes.CDLL:
    """The compiled kernels from the user's cache, named by a hash of their sources, options and own content.

    A file whose content has changed is compiled again, since loading a damaged one would end the process. A file that
    another user could have written is not loaded, and nothing is stored in a folder that others can write to.
    """
    sources = sorted(FOLDER.glob("*.[ch]"))
    made_of = (cpu_name(), cpu_features(), *OPTIONS, *(path.read_text() for path in sources))
    key, folder = hashlib.sha256("/".join(made_of).encode()).hexdigest()[:16], cache_folder("kernels")
    is_safe = is_own(folder) and is_own(folder.parent)
    for path in sorted(folder.glob(f"{key}-*.so")) if is_safe else ():
        if is_own(path) and path.stem == f"{key}-{_digest(path)}":
            return ctypes.CDLL(str(path))
        path.unlink()
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise OSError("there is no C compiler")
    with tempfile.TemporaryDirectory(dir=folder if is_safe else None) as place:
        partial = Path(place) / "kernels.so"
        inputs = [str(source) for source in sources if source.suffix == ".c"]
        for options in ((*OPTIONS, WIDE), OPTIONS):
            command = [compiler, *options, "-o", str(partial), *inputs, "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)  # noqa: S603
            if not done.returncode:
                break
        else:
            raise OSError(done.stderr)
        loaded = ctypes.CDLL(str(partial))  # check that it is a library before keeping it
        if is_safe:
            partial.chmod(0o700)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(folder / f"{key}-{_digest(partial)}.so")
    return loaded


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
