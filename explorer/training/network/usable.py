"""Write a trained network as a folder that anyone can use: `model.py`, its weights, ONNX, and what it is."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from explorer.host.files import replaced
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import Run
from explorer.training.exported_files import sealed
from explorer.training.network import standalone
from explorer.training.network.build import with_storage
from explorer.training.network.export import module_source
from explorer.training.network.onnx_file import to_onnx, written_as_onnx
from explorer.training.network.weights import fit_weights, save_weights
from explorer.training.streams import stream

Network = nn.Module  # for packages that do not know torch
MODEL, WEIGHTS, ONNX, CARD = "model.py", "weights.safetensors", "model.onnx", "README.md"
_IMPORTS = """\
import functools
import hashlib
import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

"""
_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    standalone.predict,
    standalone.preprocess,
    standalone.normalised,
    standalone.pixels_of,
    standalone._pixels,
    standalone._checked,
    standalone.trained,
    standalone.read_weights,
    standalone.images_in,
    standalone.main,
)
_HOW = """\
    from model import predict
    predict("photo.jpg")  # [(class name, probability), ...], the most probable first

or `python model.py IMAGE...`. `README.md` says what the network is and what it was measured to do.

"""


def write_usable(
    folder: Path, run: Run, state: Mapping[str, Tensor], found: Preprocessing, about: dict[str, str]
) -> None:
    """Write `model.py`, and `weights.safetensors`, which carries `about`; `state` is that of the grouped form."""
    save_weights(dict(state), folder / WEIGHTS, about)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / MODEL).write_text(sealed(usable_source(run, found, digest)), encoding="utf-8")
    (folder / WEIGHTS).chmod((folder / MODEL).stat().st_mode)  # safetensors writes for its user alone


def usable_source(run: Run, found: Preprocessing, digest: str) -> str:
    """The source of `model.py`: the network, its numbers, and the functions of `standalone`."""
    source = module_source(run.architecture, run.task, trained=False)
    head, _, rest = source.partition("    from model import network\n    model = network()\n\n")
    classes = "".join(f"    {name!r},\n" for name in found.classes)
    values = f"""
CLASSES = (  # in the order of the scores
{classes})
MEAN = {found.mean!r}  # of each channel, in units of a byte
STD = {found.std!r}
BRIGHTEST = {found.range[1]}  # value of a pixel
CHANNELS = {found.channels}  # {"grey" if found.channels == 1 else "red, green, blue"}
IMAGE_SIZE = {found.image_size}  # side in pixels
RESIZE = {found.resize}  # of the shorter side, before the middle is cut out; None: images have the size already
WEIGHTS = "{digest}"  # SHA-256 of weights.safetensors
"""
    functions = "".join(f"\n\n{inspect.getsource(function)}" for function in _FUNCTIONS)
    end = '\n\nif __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n'
    first = rest.index("from collections.abc import Callable\n")
    return head + _HOW + rest[:first] + _IMPORTS + rest[first:] + values + functions + end


class FromPixels(nn.Module):
    """A network with its normalisation before it: from bytes `(batch, height, width, channels)` to scores."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, found: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(found.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(found.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities `(batch, classes)`."""
        images = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        scores = self.network(images)
        return scores, scores.softmax(dim=1)


def float32_network(run: Run, state: dict[str, Tensor], source: str) -> nn.Module:
    """The network of a run in float32 and in the grouped form, as torch executes it, in evaluation mode.

    Raises InputError if the weights do not fit.
    """
    network: nn.Module = with_storage(run.architecture, run.task, stream(run.seed, "initialisation").initial_seed())
    fit_weights(network, state, source)
    return network.eval()


def write_pixels_onnx(network: nn.Module, found: Preprocessing, path: Path, about: dict[str, str]) -> None:
    """Write ONNX that takes bytes as image libraries give them and normalises them itself, with `about` inside."""
    import onnx

    size = (2, found.image_size, found.image_size, found.channels)
    pixels = torch.randint(0, found.range[1] + 1, size, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with written_as_onnx(), replaced(path) as partial:
        to_onnx(FromPixels(network, found).eval(), pixels, partial, "pixels", ["scores", "probabilities"])
        model = onnx.load(partial)
        onnx.helper.set_model_props(model, about)
        onnx.save(model, partial)


def about_of(run: Run, found: Preprocessing, facts: dict[str, Any]) -> dict[str, str]:
    """What the files of a network say of themselves, as texts of plain ASCII: lists and numbers are JSON."""
    own = {
        "classes": list(found.classes),
        "mean": list(found.mean),
        "std": list(found.std),
        "range": list(found.range),
        "channels": found.channels,
        "image_size": found.image_size,
        "resize": found.resize,
        "resampling": found.resampling,
        "crop": found.crop,
        "run": run.id,
        **facts,
    }
    return {
        key: value if isinstance(value, str) and value.isascii() else json.dumps(value) for key, value in own.items()
    }
