"""What the machine is, as far as it can be told without loading torch."""

import contextlib
import ctypes
import hashlib
import os
import platform
import re
from pathlib import Path

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # glibc's malloc.h; size -1 is the largest
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def cpu_name() -> str:
    """Model of the processor as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_features() -> str:
    """The instruction sets the processor offers: machines of one model name may differ in them."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def cpu_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def driver_version(told: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Version of the NVIDIA driver as it tells Linux; "unknown" where it does not."""
    try:
        found = re.search(r"\d+\.\d+(\.\d+)*", told.read_text(encoding="utf-8"))
    except OSError:
        return "unknown"
    return found[0] if found else "unknown"


def fix_cublas_workspace() -> None:
    """Have cuBLAS sum in the same order every time; torch refuses deterministic algorithms on CUDA otherwise.

    cuBLAS reads it once in each process, when it is first used.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"


def keep_freed_memory() -> None:
    """Tell glibc to keep the memory this process frees: maps come and go by the gigabyte at each training step.

    Given back to the system, every page of them would be cleared and mapped again when it is next needed, which took
    up to half of a step's time. Elsewhere than on glibc nothing happens.
    """
    _set_malloc({_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 2**26})


def give_freed_memory_back() -> None:
    """Let glibc give memory back as it does for a program that sets nothing, once its thresholds have adapted."""
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
    """Memory of the whole machine, or of the container this is; 2^63 where the system does not tell."""
    found = [1 << 63]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in _CONTAINER_LIMITS:
        with contextlib.suppress(ValueError, OSError):
            found.append(int(Path(limit).read_text(encoding="utf-8")))
    return min(found)


def memory_in_use() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError, ValueError):
        return 0


def most_memory() -> int | None:
    """Bytes this process has had in memory at most; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        return None


def limit_memory(most: int) -> None:
    """Let this process have no more bytes of its own than these, so that it is refused memory instead of being killed.

    Where memory does run out, the system should end this process before others. Elsewhere than on Linux nothing
    happens.
    """
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        Path("/proc/self/oom_score_adj").write_text("500", encoding="utf-8")
    except (ImportError, AttributeError, ValueError, OSError):
        return


def described() -> dict[str, str | int]:
    """What a study's record says of the machine that it runs on."""
    return {
        "host": platform.node(),
        "platform": platform.platform(terse=True),
        "machine": machine_id(),
        "processor": cpu_name(),
        "cores": cpu_count(),
    }


def machine_id() -> str:
    """Eight hexadecimal digits that are the same on the same machine and tell a stranger nothing."""
    text = f"{platform.node()}/{cpu_name()}/{os.cpu_count()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
