"""A worker process: takes jobs from a pipe, trains, and answers with events. Heavy imports wait for its start."""

import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from explorer.job import Counted, EpochDone, Job, Mismatch, Refused, RunDone, Surroundings, Survey
from explorer.run import Outcome


def work(pipe: Connection, threads: int, parent: int) -> None:
    """Serve jobs until the pipe is closed or `None` arrives. Ends by itself soon after the parent process has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides what ends
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what CUDA needs for the same bits every time
    import torch

    torch.set_num_threads(threads)
    try:
        while (message := pipe.recv()) is not None:
            if isinstance(message, Survey):
                pipe.send(_survey(message))
            else:
                _run(message, pipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def _run(job: Job, pipe: Connection) -> None:
    from explorer.training.loop import train
    from explorer.training.measure import CostMismatchError, check_cost

    run = job.run
    started = time.perf_counter()
    try:
        if job.needs_count:
            pipe.send(Counted(run.id, check_cost(run.architecture, run.task).macs))
        outcome = train(
            run,
            lambda result: pipe.send(EpochDone(run.id, result)),
            judges=job.judges,
            weights=Path(job.weights) if job.weights else None,
        )
        pipe.send(RunDone(run.id, outcome))
    except CostMismatchError as error:
        pipe.send(Mismatch(str(error)))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - one run's failure must not end the others; it is recorded, not hidden
        message = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        failed = Outcome("failed", 0, None, None, None, None, time.perf_counter() - started, None, message=message)
        pipe.send(RunDone(run.id, failed, details=traceback.format_exc()))


def _survey(question: Survey) -> Surroundings | Refused:
    import fvcore
    import numpy
    import torch

    from explorer.errors import InputError
    from explorer.training.data import load
    from explorer.training.device import device_name, resolve

    try:
        device = resolve(question.device)
        digest = load(question.data, device).digest
    except InputError as error:
        return Refused(str(error))
    versions = {
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "fvcore": fvcore.__version__,
    }
    return Surroundings(device, device_name(device), digest, versions)


def _leave_with(parent: int) -> None:
    """A killed coordinator cannot say goodbye, and a worker in the middle of an epoch does not look at its pipe."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
