"""Properties of the machine that can be read without loading torch."""

import contextlib
import ctypes
import hashlib
import os
import platform
import re
from pathlib import Path

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # glibc's malloc.h; a size of -1: the largest
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # torch reads either; the second name is the older one
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def cpu_name() -> str:
    """Model of the processor, as the operating system reports it."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_features() -> str:
    """The processor's instruction sets, which may differ between machines with the same model name."""
    return _cpu_info("flags", "Features") or platform.machine()


def _cpu_info(*names: str) -> str:
    """The first value in Linux's description of the processor that has one of these names; empty if there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(names):
                return line.partition(":")[2].strip()
    return ""


def cpu_count() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def driver_version(path: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Version of the NVIDIA driver as Linux reports it; "unknown" if it reports none."""
    try:
        found = re.search(r"\d+\.\d+(\.\d+)*", path.read_text(encoding="utf-8"))
    except OSError:
        return "unknown"
    return found[0] if found else "unknown"


def fix_cublas_workspace() -> None:
    """Make cuBLAS sum in the same order every time; torch's deterministic algorithms require this on CUDA.

    cuBLAS reads the variable once per process, at its first use.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"


def let_gpu_memory_grow() -> None:
    """Make torch map a GPU's memory in pieces that can grow, unless the user has configured its allocator.

    Networks of many shapes leave fixed pieces of the wrong sizes behind, and a run may then lack memory that is free.
    torch reads the variable once per process, when it first allocates on a GPU.
    """
    if not any(name in os.environ for name in _ALLOCATOR):
        os.environ[_ALLOCATOR[0]] = "expandable_segments:True"


def has_mps() -> bool:
    """Whether the control daemon of NVIDIA's Multi-Process Service runs, through which processes share a GPU.

    With it their kernels execute at the same time; without it the GPU switches between processes. Only the user starts
    or ends the daemon.
    """
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps")  # noqa: S108 - NVIDIA's own default
    if not (folder / "control").exists():
        return False
    try:  # a daemon that was killed leaves its files behind
        pid = int((folder / "nvidia-cuda-mps-control.pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return Path(f"/proc/{pid}").exists()


def keep_freed_memory() -> None:
    """Make glibc keep memory that this process frees: each training step frees and allocates gigabytes of maps.

    If it were returned to the system, every page would be cleared and mapped again at the next use, which took up to
    half of a step's time. Without glibc nothing happens.
    """
    _set_malloc({_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 2**26})


def give_freed_memory_back() -> None:
    """Make glibc return freed memory to the system again, as in a program that has not changed its settings."""
    _set_malloc({_MMAP_MAX: 2**16, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _TOP_PAD: 2**17})
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set_malloc(options: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return
    for option, value in options.items():
        mallopt(option, value)


def memory_bytes() -> int:
    """Bytes of memory of the machine, or of the container this process is in; 2^63 if the system does not report it."""
    found = [1 << 63]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in _CONTAINER_LIMITS:
        with contextlib.suppress(ValueError, OSError):
            found.append(int(Path(limit).read_text(encoding="utf-8")))
    return min(found)


def memory_in_use() -> int:
    """Bytes of memory that this process uses now; 0 if the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError):
        return 0


def most_memory() -> int | None:
    """Peak memory of this process in bytes; None if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        return None


def limit_memory(most: int) -> None:
    """Limit this process to `most` bytes of its own memory, so that an allocation fails and the process is not killed.

    If the machine's memory still runs out, the system should end this process before others. Only Linux supports this;
    elsewhere nothing happens.
    """
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        Path("/proc/self/oom_score_adj").write_text("500", encoding="utf-8")
    except (ImportError, AttributeError, ValueError, OSError):
        return


def described() -> dict[str, str | int]:
    """The description of this machine that a study's record holds."""
    return {
        "host": platform.node(),
        "platform": platform.platform(terse=True),
        "machine": machine_id(),
        "processor": cpu_name(),
        "cores": cpu_count(),
    }


def machine_id() -> str:
    """Eight hexadecimal digits that identify the machine without revealing its name."""
    text = f"{platform.node()}/{cpu_name()}/{os.cpu_count()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
