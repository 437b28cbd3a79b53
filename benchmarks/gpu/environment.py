"""What a machine is, and which packages of the project's list it lacks: python environment.py CHECKOUT."""

import importlib
import os
import platform
import re
import shutil
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

TOOLS = ("nvidia-cuda-mps-control", "gcc", "nvcc")
# Names under which packages are imported, where they are not those of their distributions.
MODULES = {
    "hydra-core": "hydra",
    "nvidia-ml-py": "pynvml",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}


def missing_packages(checkout: Path) -> list[str]:
    """Why each package that cannot be imported cannot be; a line with the versions of the others is printed."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions, missing = [], []
    for wanted in (*project["dependencies"], "pytest"):
        name = re.split(r"[^\w-]", wanted)[0]
        try:
            importlib.import_module(MODULES.get(name, name.replace("-", "_")))
            versions.append(f"{name} {version(name)}")
        except Exception as error:  # noqa: BLE001 - a broken package may raise anything, and is what is looked for
            missing.append(f"{name}: {type(error).__name__}: {error}")
    print("; ".join(versions))
    return missing


def main(checkout: Path) -> int:
    """Print what there is; 1 where something is missing."""
    print(platform.platform(), "Python", platform.python_version(), "cores", len(os.sched_getaffinity(0)))
    print(*(f"{tool}: {shutil.which(tool)}" for tool in TOOLS), sep=", ")
    missing = missing_packages(checkout)
    print(*(f"MISSING {line}" for line in missing), sep="\n", end="\n" if missing else "")
    if any(line.startswith("torch:") for line in missing):
        return 1
    import torch

    print("torch", torch.__version__, "CUDA", torch.version.cuda)
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        kind = ".".join(map(str, torch.cuda.get_device_capability()))
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        print(f"{torch.cuda.get_device_name()}, compute capability {kind}, cuDNN {cudnn}")
        print(f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    elif os.environ.get("CHECK_DEVICE", "cuda") == "cuda":
        print("MISSING a GPU that torch sees")
        return 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
