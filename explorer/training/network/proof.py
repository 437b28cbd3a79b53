"""Prove an exported network: its weights against the record, what was written against the weights.

Each step needs something: the weights give the recorded answers only under the study's own execution, which another
processor may not have, and on its images, which may be gone. What could not be shown is said in `Proof.unproven`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from explorer.host.errors import InputError
from explorer.host.formatting import counted, in_one_line
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import Run
from explorer.training.images.augment import normalised
from explorer.training.images.decode import decode
from explorer.training.images.source import listings
from explorer.training.images.split import Dataset, Split, fetched
from explorer.training.loop import correct, deterministic
from explorer.training.network.build import build
from explorer.training.network.forms import reformed
from explorer.training.network.prepare import prepare
from explorer.training.network.weights import fit_weights
from explorer.training.streams import stream

MOST = 10_000  # images on which the written files are run, evenly spaced in the part
MOST_BYTES = 2**28  # of these
MOST_ONNX = 500
BATCH = 64
MOST_UNLIKE = 0.005  # share of images on which float32 may answer unlike the record
FEW_FILES = 32  # image files that are decoded by both
MOST_OF_FILES = 2**25  # bytes of these together
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recorded:
    """What the record says that a run answered: on the test images each answer, on the validation images how many."""

    val_error: float
    test: Bits | None
    same_machine: bool


@dataclass(frozen=True)
class Proof:
    """What was shown, in sentences, and what could not be; `float32_error` is that of the files that were written.

    part  "test", or "validation" of a search, whose designs are never tested
    """

    shown: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    part: str = "test"
    is_own: bool = False
    images: int = 0
    unlike: int | None = None
    float32_error: float | None = None

    def also(self, shown: str = "", unproven: str = "") -> "Proof":
        """This proof with one sentence more."""
        return replace(
            self, shown=(*self.shown, *filter(None, [shown])), unproven=(*self.unproven, *filter(None, [unproven]))
        )


def prove_weights(
    run: Run, state: dict[str, Tensor], source: str, data: Dataset, recorded: Recorded
) -> tuple[Proof, Bits]:
    """Whether weights give the recorded answers under the run's own execution: the proof, and the recorded answers.

    `data` is on the execution's device. Of a search, which has no recorded answers, those that the weights give stand
    for them once their number is the recorded one. Raises InputError for weights of another run.
    """
    torch.set_num_threads(run.execution.threads)
    deterministic(run.execution.deterministic)
    network = build(run.architecture, run.task, stream(run.seed, "initialisation"))
    fit_weights(network, state, source)
    if run.execution.form != "grouped":
        network = reformed(network, run.architecture, run.task, run.execution.form)
    network = prepare(network, run.execution, run.task)
    val = correct(network, data.val, data, run.execution)
    wrong, expected = int((~val).sum()), round(recorded.val_error * len(val))
    if recorded.test is None:
        part, apart, answers = "validation", abs(wrong - expected), val
        same = f"{wrong:,} of {len(val):,} validation images wrong, the recorded number"
    else:
        tests = (data.test, data.rest)
        answers = np.concatenate([correct(network, one, data, run.execution) for one in tests if one is not None])
        if len(answers) != len(recorded.test):
            raise InputError(
                f"{source}: the record has {len(recorded.test):,} answers for {len(answers):,} test images"
            )
        part, apart = "test", int((answers != recorded.test).sum()) + abs(wrong - expected)
        same = f"the recorded answer on each of {len(answers):,} test images, bit for bit, and the recorded number of "
        joined = " (which it was trained on)" if run.data.joined else ""
        same += f"errors on the validation images{joined}, {wrong:,} of {len(val):,}"
        answers = recorded.test
    proof = Proof(part=part, is_own=True, images=len(answers))
    if not apart:
        return proof.also(
            f"Under the study's own execution ({run.execution.precision}) the weights give {same}."
        ), answers
    if recorded.same_machine or apart > allowed_unlike(len(answers)):
        raise InputError(
            f"{source}: these are not the weights of run {run.id}, or its images, kernels or record have changed: "
            f"under the study's own execution they answer {apart:,} of {len(answers):,} {part} images unlike the record"
        )
    words = f"this machine answers {counted(apart, 'image')} of {len(answers):,} unlike the record, by rounding"
    return proof.also(unproven=f"That the weights give the recorded answers bit for bit: {words}."), answers


def allowed_unlike(images: int) -> int:
    """On how many images rounding may change the answer: half a per cent, and one of fewer than two hundred."""
    return max(1, int(MOST_UNLIKE * images))


def prove_written(
    folder: Path,
    network: nn.Module,
    found: Preprocessing,
    proof: Proof,
    data: Dataset | None,
    answers: Bits | None,
    onnx: Path | None,
) -> Proof:
    """Whether the files of a folder compute what the network does, on the study's images or, without them, on noise.

    `network` is ours in float32; it takes what `data` says of mean and standard deviation, and `model.py` what it was
    written with. `answers` are the recorded ones, of the images of `proof.part`. Raises InputError where anything
    differs.
    """
    pixels, labels, numbers = _checked_images(found, proof.part, data)
    mean, std = (data.mean, data.std) if data is not None else (torch.tensor(found.mean), torch.tensor(found.std))
    names = _names(found, data)
    files = _some_files(data) if data is not None else []
    threads = torch.get_num_threads()
    with torch.inference_mode():
        batches = [network(_plain(normalised(one, mean.cpu(), std.cpu()))) for one in pixels.split(BATCH)]  # type: ignore[no-untyped-call]
        expected = torch.cat(batches)
    scores, said = _alone(folder, pixels, files, threads)
    if said["classes"] != list(names):
        raise _differs("it names the classes otherwise than the data do, or in another order")
    if not torch.equal(scores, expected):
        largest = float((scores - expected).abs().max())
        raise _differs(f"its scores differ from those of our network in float32, by up to {largest:.1e}")
    top = expected.argmax(dim=1)
    shown = [names[int(one)] for one in top[: len(said["predicted"])]]
    if said["predicted"] != shown:
        raise _differs("predict names other classes than the scores do")
    if wrong := [place for place, (_, own) in enumerate(files) if said["pixels"][place] != own.tobytes().hex()]:
        raise _differs(f"it reads {len(wrong)} of {len(files)} image files to other pixels than training did")
    what = (
        f"{counted(len(pixels), 'image')} of the {proof.part} part" if data is not None else f"{len(pixels)} of noise"
    )
    proof = proof.also(
        f"In a process of its own, without this project, model.py gives the scores of our network in float32 on "
        f"{what}, exactly."
    )
    if files:
        proof = proof.also(f"It reads {counted(len(files), 'image file')} of the data to the pixels of training.")
    if data is not None and answers is not None:
        assert labels is not None
        right = np.array([names[int(one)] for one in top]) == np.array([names[int(one)] for one in labels])
        unlike = int((right != answers[numbers]).sum())
        # Of weights that are shown to be the run's, rounding alone is left: early in training scores nearly tie.
        if unlike > allowed_unlike(len(right)) and not proof.is_own:
            raise _differs(
                f"in float32 it answers {unlike:,} of {len(right):,} {proof.part} images unlike the record; "
                f"{allowed_unlike(len(right)):,} may be rounding, so its weights may be of another run; train=true "
                "trains it anew"
            )
        proof = replace(proof, images=len(right), unlike=unlike, float32_error=float((~right).mean()))
        proof = proof.also(
            f"In float32 it answers {unlike:,} of {len(right):,} {proof.part} images unlike the record, which was "
            f"computed with other rounding."
            if unlike
            else f"In float32 it gives the recorded answer on each of {len(right):,} {proof.part} images."
        )
    if onnx is not None:
        proof = _prove_onnx(onnx, pixels[:MOST_ONNX], expected[:MOST_ONNX], proof)
    return proof


def _plain(images: Tensor) -> Tensor:
    """In the memory order that `model.py` gives its images: another one would sum in another order."""
    return images.clone(memory_format=torch.contiguous_format)


def _names(found: Preprocessing, data: Dataset | None) -> tuple[str, ...]:
    """The class names that the written files must have: those of the images, where these name their classes."""
    if data is None or not data.classes or {*data.classes} != {*found.classes}:
        return found.classes  # folders may have been renamed since
    return data.classes


def _checked_images(
    found: Preprocessing, part: str, data: Dataset | None
) -> tuple[Tensor, Tensor | None, npt.NDArray[np.int64]]:
    """The pixels on which the files are run, their labels, and their places among the recorded answers."""
    shape = (found.channels, found.image_size, found.image_size)
    most = max(1, min(MOST, MOST_BYTES // int(np.prod(shape))))
    if data is None:
        random = torch.Generator().manual_seed(0)
        noise = torch.randint(0, found.range[1] + 1, (min(BATCH, most), *shape), generator=random, dtype=torch.uint8)
        return noise, None, np.zeros(0, dtype=np.int64)
    splits = [data.val] if part == "validation" else [one for one in (data.test, data.rest) if one is not None]
    total = sum(map(len, splits))
    numbers = np.unique(np.linspace(0, total - 1, min(most, total)).astype(np.int64))
    pixels, labels, before = [], [], 0
    for split in splits:
        own = numbers[(numbers >= before) & (numbers < before + len(split))] - before
        for one, label in _fetched(data, split, own):
            pixels.append(one.cpu())
            labels.append(label.cpu())
        before += len(split)
    return torch.cat(pixels), torch.cat(labels), numbers


def _fetched(data: Dataset, split: Split, numbers: npt.NDArray[np.int64]) -> Any:
    where = "cpu" if split.images is None else split.labels.device
    return fetched(data, split, torch.from_numpy(numbers).to(where).split(1024))  # type: ignore[no-untyped-call]


def _some_files(data: Dataset) -> list[tuple[bytes, npt.NDArray[np.uint8]]]:
    """Some image files of the data set, each with the pixels that training has of it; none of the embedded digits."""
    config = data.config
    if config.source == "digits" or config.lacks_path:
        return []
    found: list[tuple[bytes, npt.NDArray[np.uint8]]] = []
    left = MOST_OF_FILES
    for listing in listings(config, config.path or "")[0].values():
        for item in islice(listing.items(), FEW_FILES):
            if len(found) < FEW_FILES and not item.problem:
                try:
                    content = item.read()
                    if content is not None and (left := left - len(content)) >= 0:
                        found.append((content, decode(content, config)))
                except (ValueError, OSError):  # an image that was left out
                    continue
    return found


# Runs far from this project: only torch, pillow and what lies in the folder.
_ALONE = """
import importlib.util, json, sys, torch
folder, room, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
spec = importlib.util.spec_from_file_location("model", folder + "/model.py")
module = importlib.util.module_from_spec(spec)
sys.modules["model"] = module
spec.loader.exec_module(module)
with open(room + "/given.json") as file:
    given = json.load(file)
with open(room + "/pixels", "rb") as file:
    pixels = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(given["shape"])
with torch.inference_mode():
    scores = torch.cat([module.trained()(module.normalised(one)) for one in pixels.split(batch)])
with open(room + "/scores", "wb") as file:
    file.write(scores.contiguous().numpy().tobytes())
predicted = [module.predict(one)[0][0] for one in pixels[:batch // 4]]
read = [module.pixels_of(bytes.fromhex(one)).numpy().tobytes().hex() for one in given["files"]]
with open(room + "/said.json", "w") as file:
    json.dump({"classes": list(module.CLASSES), "predicted": predicted, "pixels": read}, file)
assert not any(name.partition(".")[0] == "explorer" for name in sys.modules)
"""


def _alone(
    folder: Path, pixels: Tensor, files: Sequence[tuple[bytes, Any]], threads: int
) -> tuple[Tensor, dict[str, Any]]:
    """Scores and words of the `model.py` of a folder, imported by a process of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="resnext-explorer-") as room:
        (Path(room) / "pixels").write_bytes(pixels.numpy().tobytes())
        given = {"shape": list(pixels.shape), "files": [content.hex() for content, _ in files]}
        (Path(room) / "given.json").write_text(json.dumps(given))
        words = [sys.executable, "-I", "-B", "-c", _ALONE, str(folder.resolve()), room, str(BATCH), str(threads)]
        done = subprocess.run(words, cwd=room, capture_output=True, text=True, check=False, env=dict(os.environ))  # noqa: S603 - our own words
        if done.returncode:
            raise _differs(f"it cannot be used ({in_one_line(done.stderr.strip().rpartition(chr(10))[2])})")
        scores = np.frombuffer((Path(room) / "scores").read_bytes(), dtype=np.float32)
        said = json.loads((Path(room) / "said.json").read_text())
    return torch.from_numpy(scores.reshape(len(pixels), -1).copy()), said


def _prove_onnx(path: Path, pixels: Tensor, expected: Tensor, proof: Proof) -> Proof:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    scores = torch.from_numpy(np.concatenate([session.run(["scores"], {"pixels": one})[0] for one in _split(given)]))
    limit = 1e-4 * (1 + float(expected.abs().max()))
    largest = float((scores - expected).abs().max())
    if largest > limit:
        raise _differs(f"ONNX Runtime's scores differ from torch's by up to {largest:.1e}, allowed {limit:.1e}")
    best = expected.topk(2, dim=1).values
    is_clear = best[:, 0] - best[:, 1] > 2 * limit
    if bool((scores.argmax(dim=1) != expected.argmax(dim=1))[is_clear].any()):
        raise _differs("ONNX Runtime answers with another class")
    return proof.also(
        f"ONNX Runtime gives the same class from the same pixels on {counted(len(pixels), 'image')}; its scores differ "
        f"by up to {largest:.1e}."
    )


def _split(given: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    return [given[start : start + BATCH] for start in range(0, len(given), BATCH)]


def _differs(what: str) -> InputError:
    return InputError(f"what was written is not the network of the study: {what}")
