"""Classify image files with a network in float32: what `explorer predict` does with torch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from explorer.host.machine import cpu_count
from explorer.study.preprocessing import Preprocessing
from explorer.study.settings import DataConfig
from explorer.training.images.augment import normalised
from explorer.training.images.decode import decode

AT_ONCE = 64  # images of one pass
MOST_READERS = 8  # threads that read files


def classified(
    paths: list[str], network: nn.Module, needs: Preprocessing, data: DataConfig
) -> Iterator[tuple[float, ...] | str]:
    """For each file the probability of every class, or a text that says why it cannot be used."""
    mean, std = torch.tensor(needs.mean), torch.tensor(needs.std)
    with ThreadPoolExecutor(min(cpu_count(), MOST_READERS)) as readers:
        for read in _batches(paths, lambda path: _read(path, needs, data), readers):
            yield from _of_batch(read, network, mean, std)


def _batches(
    paths: list[str], read: Callable[[str], Tensor | str], readers: ThreadPoolExecutor
) -> Iterator[list[Tensor | str]]:
    """What is read of the files, a batch at a time; the next batch is read while the network has one."""
    coming: list[Future[Tensor | str]] = []
    for start in range(0, len(paths) + AT_ONCE, AT_ONCE):
        now, coming = coming, [readers.submit(read, path) for path in paths[start : start + AT_ONCE]]
        if now:
            yield [one.result() for one in now]


def _of_batch(
    read: list[Tensor | str], network: nn.Module, mean: Tensor, std: Tensor
) -> Iterator[tuple[float, ...] | str]:
    """The probabilities of what could be read, and the reasons of what could not."""
    pixels = [one for one in read if not isinstance(one, str)]
    shares: Iterator[list[float]] = iter(())
    if pixels:
        with torch.inference_mode():
            shares = iter(network(normalised(torch.stack(pixels), mean, std)).softmax(dim=1).tolist())
    for one in read:
        yield one if isinstance(one, str) else tuple(next(shares))


def _read(path: str, needs: Preprocessing, data: DataConfig) -> Tensor | str:
    """The pixels of a file as training has them; a text with the reason if it cannot be used."""
    try:
        if not Path(path).is_file():
            return "is a folder, or not a regular file" if Path(path).exists() else "there is no such file"
        found = torch.tensor(decode(Path(path).read_bytes(), data))
    except (ValueError, OSError) as error:
        return str(error)
    high = needs.range[1]  # of a file it is 255, whatever it was of the training images
    return found if high == 255 else (found.int() * high / 255).round().to(torch.uint8)
