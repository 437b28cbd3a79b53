"""Worker processes in which something goes wrong: what, is said by the environment variable FAULT."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from explorer.study.job import RunDone
from explorer.study.run import Outcome
from explorer.training import worker

AT_SEED = 3
STEP = 0.01  # seconds of a stand-in's training step
AT_STEP = 6  # of a run, as its process counts them
HERE = Path("here")  # made where a process has come to the place of its fault
NEVER = 10_000.0
STAYING = contextlib.ExitStack()  # what holds until the process ends


def work(pipe: Connection, parent: int, device: int | None = None) -> None:
    """What a worker does, with the fault it is told of."""
    FAULTS[os.environ["FAULT"]]()
    worker.work(pipe, parent, device)


def here(seconds: float = 0.0) -> None:
    """Tell whoever watches that the place is reached, and stay there for some time."""
    HERE.touch()
    time.sleep(seconds)


def patch(module: ModuleType, **others: object) -> None:
    """Put other things in the place of a module's own, for the life of this process."""
    for name, other in others.items():
        setattr(module, name, other)


def at_step(do: Callable[[Any], None]) -> None:
    """In every run of seed 1, do something with its network before a certain step."""
    from explorer.training import loop

    ready, step = loop.ready, loop.step
    at = {"seed": 0, "step": 0}

    def hooked_ready(run: Any) -> Any:
        at.update(seed=run.seed, step=0)
        return ready(run)

    def hooked_step(network: Any, *others: Any) -> Any:
        at["step"] += 1
        if at["seed"] == 1 and at["step"] == AT_STEP:
            do(network)
        return step(network, *others)

    patch(loop, ready=hooked_ready, step=hooked_step)


def lost_weights(network: Any) -> None:
    """A weight is not a number."""
    import torch

    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))


def huge_weights(network: Any) -> None:
    """Scores are finite and absurd."""
    import torch

    with torch.no_grad():
        *_, weight, bias = network.parameters()
        weight.mul_(1e9)
        bias.add_(torch.arange(len(bias)) * 1e9)


def no_memory(network: Any) -> None:
    """What torch raises where a device has too little memory."""
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def dead_gpu() -> None:
    """Runs train on a pretended GPU; in one of them, once, an error takes the GPU away from its process."""
    import torch

    from explorer.training import loop
    from tests.pretended_cuda import pretended_cuda

    STAYING.enter_context(pretended_cuda(setattr))
    train, lost = loop.train, list[Any]()

    def answer() -> None:
        if lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def emulated(run: Any, *others: Any, **named: Any) -> Any:
        if run.seed == AT_SEED and not HERE.exists():
            here()
            lost.append(run)
        answer()
        return train(run, *others, **named)

    patch(loop, train=emulated)
    patch(torch.cuda, synchronize=answer, empty_cache=answer)


def full_device() -> None:
    """A training step holds a device that all processes share for 10 ms, in which no other's can go on.

    The time is the device's own, so that how busy this machine is makes no difference: a step begins when its process
    has come to it and the steps that others have asked for before have ended.
    """
    free = Path("free")

    def held(now: float) -> float:
        with Path("device.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # in the order of asking, where one that looks now and then is left out
            ends = max(now, float(free.read_text()) if free.exists() else 0.0) + STEP
            free.write_text(repr(ends))
        return ends

    timed_by(held)


def empty_device() -> None:
    """A training step takes 10 ms, however many processes take one at the same time."""
    timed_by(lambda now: now + STEP)


def timed_by(step: Callable[[float], float]) -> None:
    """Training steps are measured by a clock of their own: a step says when it ends, of when it was begun."""
    from explorer.training import forms_timing as fastest

    now = [0.0]

    def one() -> None:
        now[0] = step(now[0])

    patch(fastest, _step=lambda run: one, time=SimpleNamespace(perf_counter=lambda: now[0]))
    without_cuda()


def without_cuda() -> None:
    """What torch says of a GPU's time and memory where there is none."""
    import torch

    from tests.pretended_cuda import NAME, Notes, answers

    patch(torch.cuda, **answers(Notes(), (NAME,)))


def seen_gpus() -> None:
    """Every process that trains writes down which GPUs it may see."""
    from explorer.training import loop

    ready = loop.ready

    def hooked(run: Any) -> Any:
        Path(f"gpus-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
        return ready(run)

    patch(loop, ready=hooked)


def crowded(pipe: Connection, parent: int, device: int | None = None) -> None:
    """A worker without torch on a small GPU: the run of seed 0 lacks memory while any other is trained.

    The others end after the first attempt of seed 0. With FAULT=small it lacks memory alone too.
    """
    tried = Path("tried")
    with contextlib.suppress(EOFError):
        while (job := pipe.recv()) is not None:
            seed = job.run.seed
            if seed:
                Path(f"busy-{seed}").touch()
                while not tried.exists():
                    time.sleep(0.01)
                Path(f"busy-{seed}").unlink()
                pipe.send(RunDone(job.run.id, Outcome("ok", 1)))
                continue
            while not tried.exists() and not Path("busy-1").exists():
                time.sleep(0.01)
            others = [*Path().glob("busy-*")]
            fails = others or os.environ["FAULT"] == "small"
            with tried.open("a") as file:
                file.write(f"{len(others)}\n")
            pipe.send(RunDone(job.run.id, Outcome("out_of_memory" if fails else "ok", 0)))


def hang(network: Any) -> None:
    """Stay in a step for ever, with a process of one's own beside it; once only."""
    if not HERE.exists():
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({NEVER})"])
        Path("child").write_text(str(child.pid))
        here(NEVER)


def hang_always(network: Any) -> None:
    """Stay in a step for ever, at every attempt."""
    with Path("attempts").open("a") as file:
        file.write("hung\n")
    time.sleep(NEVER)


def hanging_loader() -> None:
    """A thread that reads images waits for ever for one of them; once only."""
    from explorer.training.images import split as data

    read, statistics = data._read, data._statistics

    def hooked(*arguments: Any) -> Any:
        if not HERE.exists():
            here(NEVER)
        return read(*arguments)

    def measured(*arguments: Any) -> Any:  # before the first run, whose silence is what is noticed
        patch(data, _read=read)
        try:
            return statistics(*arguments)
        finally:
            patch(data, _read=hooked)

    patch(data, _read=hooked, _statistics=measured)


def in_evaluation() -> None:
    """Stay a while in an evaluation."""
    from explorer.training import loop

    fetched = vars(loop)["fetched"]

    def hooked(data: Any, split: Any, places: Any, crops: Any = None) -> Any:
        if crops is None and not HERE.exists():
            here(1.0)
        return fetched(data, split, places, crops)

    patch(loop, fetched=hooked)


def in_saving() -> None:
    """Stay a while in writing a checkpoint."""
    from explorer.training import loop

    save = vars(loop)["save"]

    def hooked(*arguments: Any) -> None:
        if not HERE.exists():
            here(1.0)
        save(*arguments)

    patch(loop, save=hooked)


FAULTS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "seen gpus": seen_gpus,
    "dead gpu": dead_gpu,
    "full device": full_device,
    "empty device": empty_device,
    "lost weights": lambda: at_step(lost_weights),
    "huge weights": lambda: at_step(huge_weights),
    "no memory": lambda: at_step(no_memory),
    "hang": lambda: at_step(hang),
    "hang always": lambda: at_step(hang_always),
    "hanging loader": hanging_loader,
    "training": lambda: at_step(lambda network: here(1.0)),
    "evaluation": in_evaluation,
    "saving": in_saving,
}
