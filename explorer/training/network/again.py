"""Train a recorded run again for its weights, here and by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from explorer.host import signals
from explorer.study.run import EpochResult, Execution, Outcome, Run
from explorer.training.checkpoint import Checkpointing
from explorer.training.device import device_name
from explorer.training.glance import absent_device
from explorer.training.loop import StoppedError, train
from explorer.training.sources import decisive_sources


class Here(NamedTuple):
    """What decides on this machine whether a run gives the same bits again."""

    device_name: str
    torch: str
    sources: dict[str, str]


def here(execution: Execution) -> Here:
    """This machine, for runs of an execution plan that can be followed here."""
    return Here(device_name(execution.device), str(torch.__version__), decisive_sources())


def not_executable(execution: Execution) -> str:
    """Why an execution plan cannot be followed here; "" if it can."""
    absent = absent_device(execution.device)
    return f"it was {execution.device_name}, and here {absent}" if absent else ""


def train_again(
    run: Run,
    folder: Path,
    *,
    judges: bool,
    save_every: float,
    report: Callable[[EpochResult], None],
    tell: Callable[[str], None],
) -> tuple[Outcome, npt.NDArray[np.bool_], Path]:
    """Train a run: its outcome, which test images it has right, and the file of its weights in `folder`.

    Checkpoints lie there too, so that an interrupted training goes on. Raises KeyboardInterrupt if asked to leave.
    """
    torch.set_num_threads(run.execution.threads)
    path = folder / "weights.safetensors"
    try:
        with signals.deferred():
            outcome = train(
                run,
                report,
                judges=judges,
                weights=path,
                keeping=Checkpointing(folder, tell, save_every),
                goes_on=lambda: not signals.requested(),
            )
    except StoppedError:
        signals.check()
        raise
    right = np.unpackbits(np.frombuffer(outcome.correct, np.uint8), count=outcome.test_images).astype(bool)
    return outcome, right, path
