"""A training loop as in tutorials, for comparison with this project's own; no study uses it.

As in torch's own tutorial on CIFAR-10 and the programs that follow it: each image is read, normalised, shifted by up to
4 pixels and mirrored on its own, as float32 numbers on a CPU, by two processes of a DataLoader that shuffles; a batch
is copied to the device when it is needed; network and optimiser are float32 in torch's memory order and with its
settings, which on a GPU allow TF32 in convolutions. It is kinder than many in that it does not wait for the loss at
each step and works in numpy without decoding or PIL. The augmentation is that of this project's loop.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's usual name
from torch import nn
from torch.utils.data import DataLoader, Dataset

from explorer.host.machine import cpu_count, give_freed_memory_back

Pair = tuple[torch.Tensor, int]
SHIFT = 4


class Images(Dataset[Pair]):
    """Images `(n, channels, size, size)` as bytes and labels `(n,)`; each image is augmented when it is read."""

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels
        some = images[:500].astype(np.float32)  # a part is enough for random images; all would fill the memory
        self.mean = some.mean(axis=(0, 2, 3), keepdims=True)[0]
        self.std = some.std(axis=(0, 2, 3), keepdims=True)[0]
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> Pair:
        image = (self.images[place] - self.mean) / self.std
        side = image.shape[-1]
        padded = np.pad(image, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
        top, left = self.random.integers(0, 2 * SHIFT + 1, size=2)
        image = padded[:, top : top + side, left : left + side]
        if self.random.random() < 0.5:
            image = image[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)), int(self.labels[place])


def torch_defaults() -> None:
    """Set this process up as torch does by itself, whatever was set before.

    What stays is cuBLAS's workspace, of which a process decides once: on recent GPUs it has the default's size.
    """
    give_freed_memory_back()
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = True
    torch.set_num_threads(cpu_count())


def reference_steps(
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    batch_size: int,
    device: str,
    layout: torch.memory_format = torch.contiguous_format,
) -> Iterator[torch.Tensor]:
    """The tutorial's training steps, endless: each `next` trains on one batch and returns its loss."""
    network = network.to(device).to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loader = DataLoader(Images(images, labels), batch_size, shuffle=True, num_workers=2, drop_last=True)
    while True:
        for batch, targets in loader:
            scores = network(batch.to(device).contiguous(memory_format=layout))
            loss = F.cross_entropy(scores, targets.to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield loss.detach()
