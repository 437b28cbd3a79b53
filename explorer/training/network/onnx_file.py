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
from torch import nn

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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators of packages not installed
    with (
        written_as_onnx(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (images,),
            path,
            input_names=["images"],
            output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(images).numpy()
    (found,) = session.run(None, {"images": images.numpy()})
    return float(np.abs(found - expected).max())


@contextlib.contextmanager
def written_as_onnx() -> Iterator[None]:
    """Give what torch raises for a network that it cannot write, as of an added block, as an InputError."""
    try:
        yield
    except Exception as error:
        words = in_one_line(f"{type(error).__name__}: {error.__cause__ or error}")
        raise InputError(f"onnx=true: torch cannot write this network as ONNX ({words}); export it without") from error


def refuse_without_onnx() -> None:
    """Raise InputError if packages for ONNX are missing."""
    needed = ("onnx", "onnxscript", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise InputError(f"onnx=true: {', '.join(missing)} not installed; pip install 'resnext-explorer[onnx]'")
