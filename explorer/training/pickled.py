"""Recognise weight files of `torch.save`, which are never loaded: is the file complete, and how is it converted?"""

import pickletools
import shlex
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from explorer.host.errors import InputError

AGAIN = "copy or download it anew"
SHOWN = 30  # bytes of an unknown file that a message shows
# The start of files of torch.save before version 1.6: five pickles, the first of them this number, then the values.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLES = 5


def refuse_pickled(weights: Path) -> None:
    """Raise InputError for a file that is not safetensors, saying how to convert a torch.save file; others are damaged.

    A file that cannot be opened is reported later, where it is read.
    """
    try:
        with weights.open("rb") as file:
            first = file.read(SHOWN)
    except OSError:
        return
    if first[8:9] == b"{":  # safetensors: the length of its header, then the header
        return
    raise InputError(f"weights={weights}: {_found(weights, first)}")


def _found(path: Path, first: bytes) -> str:
    if not first:
        return f"is empty; {AGAIN}"
    if first.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if first.startswith(_LEGACY):
        return _to_convert(path) if _is_whole(path) else f"is a file of torch.save that is cut short; {AGAIN}"
    if first.startswith(b"\x80"):
        return (
            "is a pickle that torch.save did not write, which is not read since it can hold code; save its tensors "
            "with safetensors.torch.save_file where it was made"
        )
    if first.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file; fetch that with git lfs pull"
    return f"is of neither safetensors nor torch.save: it begins with {first!r}; {AGAIN}"


def _of_zip(path: Path) -> str:
    try:
        with ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return f"is a file of torch.save that is cut short or damaged; {AGAIN}"
    if "constants.pkl" in names:
        return "is a program of TorchScript; save the network's state_dict() instead, with safetensors.torch.save_file"
    if "data.pkl" not in names:
        return "is an archive that torch.save did not write; give the file of weights itself"
    return _to_convert(path)


def _is_whole(path: Path) -> bool:
    """Whether an old file has all its pickles; they are scanned without executing them."""
    try:
        with path.open("rb") as file:
            for _ in range(_PICKLES):
                for _ in pickletools.genops(file):
                    pass
            return bool(file.read(1))
    except (ValueError, OSError, OverflowError, IndexError):
        return False


def _to_convert(path: Path) -> str:
    target = path.with_suffix(".safetensors")
    code = (
        "import torch; from safetensors.torch import save_file; "
        f"found = torch.load({str(path)!r}, map_location='cpu', weights_only=True); "
        f"save_file({{key: one.clone() for key, one in found.get('state_dict', found).items()}}, {str(target)!r})"
    )
    return (
        "is a file of torch.save, which is not read since it can hold code; convert one that you trust, and give "
        f"weights={target}: python -c {shlex.quote(code)}"
    )
