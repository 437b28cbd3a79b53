"""Builds the network of a recorded run, with its first weights or with those after training."""

from typing import TYPE_CHECKING

from explorer.verbs.trained_run import TrainedRun

if TYPE_CHECKING:
    from explorer.training.network.usable import Network


def built(found: TrainedRun, trained: bool) -> "Network":
    """The network of a run in float32 and in evaluation mode. Raises InputError for weights that cannot be used."""
    from explorer.training.loop import first_network
    from explorer.training.network.usable import float32_network
    from explorer.verbs.export_study import stored_weights

    if trained:
        return float32_network(found.run, stored_weights(found), str(found.weights))
    return first_network(found.run).eval()
