"""What the machine is, as far as it can be told without loading torch."""

import hashlib
import os
import platform
from pathlib import Path


def cpu_name() -> str:
    """Model of the processor as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Memory of the whole machine; 2^63 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 63


def machine_id() -> str:
    """Eight hexadecimal digits that are the same on the same machine and tell a stranger nothing."""
    text = f"{platform.node()}/{cpu_name()}/{os.cpu_count()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
