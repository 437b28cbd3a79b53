"""An extension with two measures: one that follows from a design, and one that a worker measures on its network."""

import explorer as ex


def widest(architecture: ex.Architecture, task: ex.Task) -> float:
    """Channels of the widest stage."""
    del task
    return max(architecture.widths)


def weights(network: object, task: ex.Task, device: str) -> float:
    """Thousands of parameters."""
    assert device == "cpu"
    assert task.classes
    return sum(one.numel() for one in network.parameters()) / 1000  # type: ignore[attr-defined]


MEASURES = {
    "widest": ex.Measure(widest, words="channels of the widest stage"),
    "weights": ex.Measure(weights, words="thousands of weights", measured=True),
}
