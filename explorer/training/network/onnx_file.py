"""Write a network as ONNX, with a free batch size, and hold it against torch."""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.host.formatting import in_one_line

CHECKED = 2  # images of the forward pass that checks a file


def write_onnx(network: nn.Module, task: Task, path: Path, seed: int) -> float:
    """Write the network in evaluation mode, with a free batch size, and return its largest difference to torch."""
    import onnxruntime

    network.eval()
    images = torch.randn(
        CHECKED, task.channels, task.image_size, task.image_size, generator=torch.Generator().manual_seed(seed)
    )
    with written_as_onnx():
        to_onnx(network, images, path, "images", ["scores"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(images).numpy()
    (found,) = session.run(None, {"images": images.numpy()})
    return float(np.abs(found - expected).max())


def to_onnx(network: nn.Module, example: Tensor, path: Path, takes: str, gives: list[str]) -> None:
    """Write a network as ONNX with a free batch size, traced on an example; `takes` and `gives` name what it has."""
    torch.onnx.export(
        network,
        (example,),
        path,
        input_names=[takes],
        output_names=gives,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        external_data=False,
    )


@contextlib.contextmanager
def written_as_onnx() -> Iterator[None]:
    """Keep what torch says off the terminal, and give what it raises, as for an added block, as an InputError."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators of packages not installed
    hushed = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with warnings.catch_warnings(), hushed[0], hushed[1]:
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        words = in_one_line(f"{type(error).__name__}: {error.__cause__ or error}")
        raise InputError(f"onnx=true: torch cannot write this network as ONNX ({words}); export it without") from error


def refuse_without_onnx() -> None:
    """Raise InputError if packages for ONNX are missing."""
    needed = ("onnx", "onnxscript", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise InputError(f"onnx=true: {', '.join(missing)} not installed; pip install 'resnext-explorer[onnx]'")
