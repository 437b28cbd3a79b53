"""Measured memory of training as a limit: the MiB that one step of 32 images needs at its peak.

    explorer plan pareto name=small_memory extensions=examples/peak_memory.py budget=peak_memory:2

Without `plan` it runs. A worker measures each design before it is trained, and one above the limit is never trained. As
an objective, `'search.objectives=[error,peak_memory]'`, the memory is made small beside the error.
"""

import torch

import explorer as ex

IMAGES = 32


def peak_memory(network: torch.nn.Module, task: ex.Task, device: str) -> float:
    """On a GPU what its allocator counts; on a processor what a pass keeps for the pass back, which is most of it."""
    network.train()
    images = torch.zeros(IMAGES, task.channels, task.image_size, task.image_size, device=device)
    if device == "cuda":
        for _ in range(2):  # the first time libraries take memory that they keep
            torch.cuda.reset_peak_memory_stats()
            network(images).sum().backward()
        return torch.cuda.max_memory_allocated() / 2**20
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = network(images)
    del scores  # only now: until here all that is kept has a place of its own
    return sum(kept.values()) / 2**20


MEASURES = {
    "peak_memory": ex.Measure(peak_memory, words="MiB of peak memory", title="peak memory (MiB)", measured=True)
}
