"""A worker process: receives jobs from a pipe, trains, and answers with events. Heavy modules load in the process."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from explorer.host.extensions import load_shared
from explorer.host.formatting import in_one_line
from explorer.host.machine import (
    cpu_count,
    described,
    fix_cublas_workspace,
    give_freed_memory_back,
    keep_freed_memory,
    let_gpu_memory_grow,
    limit_memory,
    memory_bytes,
)
from explorer.study.job import (
    Alive,
    Answer,
    Counted,
    Cue,
    EpochDone,
    Forms,
    FormsQuestion,
    HostQuestion,
    HostReport,
    Job,
    Latencies,
    LatencyQuestion,
    Lost,
    Measured,
    MeasureQuestion,
    MemoryQuestion,
    Mismatch,
    Noted,
    Prepare,
    Question,
    Ready,
    Refused,
    RunDone,
    Speed,
    SpeedQuestion,
    TogetherQuestion,
)
from explorer.study.run import Convolution, Outcome, Run

TURNS = 3  # of each network when latency is measured
LONGEST_WAIT = 600.0  # seconds to wait for other measurements to end
MOST_MEMORY = 0.9  # fraction of the machine's memory that one worker may take
BEAT = 1.0  # seconds between two signs of life
Found = TypeVar("Found")


@dataclass
class _Life:
    """Sends signs of life while a run is trained, and remembers whether SIGTERM has asked the worker to end."""

    pipe: Connection
    training: bool = False
    asked: bool = False
    said: float = field(default_factory=time.monotonic)

    def goes_on(self) -> bool:
        """Send a sign of life if it is due; return whether the next step should be taken."""
        now = time.monotonic()
        if now - self.said > BEAT:
            self.pipe.send(Alive())
            self.said = now
        return not self.asked

    def leave(self, *_: object) -> None:
        """Handle SIGTERM, which may arrive repeatedly: end at once, or after the step if a run has state to save."""
        if not self.training:
            os._exit(0)
        self.asked = True


def work(pipe: Connection, parent: int, device: int | None = None) -> None:
    """Serve jobs until the pipe is closed, `None` arrives, or SIGTERM asks the process to end.

    It uses the visible GPU with the index `device`, or the first one if that is None. It ends by itself soon after the
    parent process has died. It leads its own process group, so that none of its child processes can outlive it.
    """
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible(device, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    with suppress(OSError, AttributeError):
        os.setsid()
    life = _Life(pipe)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator handles Ctrl-C and decides what ends
    signal.signal(signal.SIGTERM, life.leave)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    prepare_process()
    import torch  # noqa: F401 - at once, while the first message is on its way: loading it takes seconds

    from explorer.training import forms_timing, loop  # noqa: F401
    from explorer.training.homes import HOMES

    load_shared(HOMES)

    try:
        while not life.asked and (message := pipe.recv()) is not None:
            if isinstance(message, Job):
                life.training = True
                _run(message, pipe, life)
                life.training = False
            elif isinstance(message, TogetherQuestion):
                _together(message, pipe)
            elif isinstance(message, Prepare):
                _prepare(message)
                pipe.send(Ready())
            else:
                pipe.send(_answer(message))
            from explorer.training.device import release_memory  # here, since loading torch takes seconds

            release_memory()  # so that other processes can have it
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def visible(device: int, among: str) -> str:
    """The GPU with an index in the list of CUDA_VISIBLE_DEVICES, as text; if there is no list, the index itself."""
    return among.split(",")[device].strip() if among else str(device)


def prepare_process() -> None:
    """Set up a process for training, before it loads torch."""
    fix_cublas_workspace()  # first, since reading images uses cuBLAS
    let_gpu_memory_grow()
    keep_freed_memory()


def _prepare(message: Prepare) -> None:
    """Load the images and the device's libraries; whatever goes wrong is reported by the run that meets it again."""
    from explorer.training.device import warm_up
    from explorer.training.images.split import load

    if message.place is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible(message.place, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    with suppress(Exception):
        load(message.data, message.device)
        warm_up(message.device)


def _run(job: Job, pipe: Connection, life: _Life) -> None:
    import torch

    from explorer.host.errors import InputError
    from explorer.training.checkpoint import Checkpointing
    from explorer.training.loop import StoppedError, train
    from explorer.training.network.count import CostMismatchError, check_cost

    run = job.run
    torch.set_num_threads(run.execution.threads)
    _limit(run)
    started = time.perf_counter()
    keeping = None
    if job.checkpoints:
        keeping = Checkpointing(Path(job.checkpoints), lambda line: pipe.send(Noted(run.id, line)), job.save_every)
    try:
        if job.needs_count:
            pipe.send(Counted(run.id, check_cost(run.architecture, run.task).macs))
        outcome = train(
            run,
            lambda result: pipe.send(EpochDone(run.id, result)),
            judges=job.judges,
            weights=Path(job.weights) if job.weights else None,
            loaders=job.loaders,
            keeping=keeping,
            until=job.until,
            goes_on=life.goes_on,
            filters=job.filters,
        )
        if outcome.status == "out_of_memory":  # return its memory to the system for other workers
            _leave_where_lost(run, pipe, outcome.message)
            give_freed_memory_back()
            keep_freed_memory()
        pipe.send(RunDone(run.id, outcome))
    except CostMismatchError as error:
        pipe.send(Mismatch(str(error)))
    except StoppedError:
        pass  # the caller asked for the end
    except (BrokenPipeError, ConnectionResetError):
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one run's failure must not end the others; it is recorded, not hidden
        told = isinstance(error, InputError)  # of a part that an extension adds
        message = in_one_line(error) if told else in_one_line(f"{type(error).__name__}: {error}")
        _leave_where_lost(run, pipe, message, traceback.format_exc())
        failed = Outcome("failed", 0, seconds=time.perf_counter() - started, message=message)
        pipe.send(RunDone(run.id, failed, details=traceback.format_exc()))


def _leave_where_lost(run: Run, pipe: Connection, message: str, details: str = "") -> None:
    """End this process if an error has made its GPU unusable: another process may still succeed with the run.

    After an illegal memory access, for example, every CUDA call in the same process fails with that error.
    """
    from explorer.training.device import is_usable

    if not is_usable(run.execution.device):
        pipe.send(Lost(run.id, message, details))
        os._exit(1)  # at once: torch's clean-up at exit would call the GPU again


def _limit(run: Run) -> None:
    """Limit the memory of a run on the CPU, so that it fails alone if it needs more than the machine has."""
    if run.execution.device == "cpu":
        limit_memory(int(MOST_MEMORY * memory_bytes()))


def _together(question: TogetherQuestion, pipe: Connection) -> None:
    """Train while other workers do, and measure at the engine's signal; answer at once if the memory is too small."""
    from explorer.training.forms_timing import speed_in_window, warmed_up

    run = question.run
    _limit(run)
    step = _unless_full(lambda: warmed_up(run))
    if step is None:
        pipe.send(Speed(((0.0,),), 0))
        return
    pipe.send(Ready())
    _await_cue(pipe)
    found = _unless_full(lambda: speed_in_window(step, run, question.seconds))
    pipe.send(Speed(((found[0],),), found[1]) if found else Speed(((0.0,),), 0))
    while found and not pipe.poll():
        step()
    _await_cue(pipe)


def _await_cue(pipe: Connection) -> None:
    if not isinstance(pipe.recv(), Cue):  # the engine has ended the measurement
        raise EOFError


def _answer(question: Question) -> Answer:
    from explorer.host.errors import InputError

    try:
        match question:
            case HostQuestion():
                return _survey(question)
            case SpeedQuestion():
                return _speed(question)
            case TogetherQuestion():
                raise AssertionError("it is answered between two cues")
            case LatencyQuestion():
                return _latency(question)
            case MeasureQuestion():
                return _measured(question)
            case MemoryQuestion():
                return _memory(question)
            case FormsQuestion():
                return _forms(question)
    except InputError as error:
        return Refused(str(error))


def _survey(question: HostQuestion) -> HostReport:
    import fvcore
    import numpy
    import torch

    from explorer.host.errors import InputError
    from explorer.training import device as devices
    from explorer.training.images.split import load, preprocessing_of, test_labels
    from explorer.training.network import kernels
    from explorer.training.parts import try_out
    from explorer.training.sources import decisive_sources

    device = devices.resolve(question.device)
    try:
        data = load(question.data, device)
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise InputError(
            f"data={question.data.name}: its images do not fit into the memory; set data.keep=stream"
        ) from None
    if question.recipe is not None:
        try_out(question.recipe, question.data.task, len(data.train), device)
    rest = len(data.rest) if data.rest is not None else 0
    versions = {
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "fvcore": fvcore.__version__,
        **devices.gpu_versions(device),
    }
    return HostReport(
        device,
        devices.device_name(device),
        data.digest,
        versions,
        images=(len(data.train), len(data.val), len(data.test) + rest),
        rest_images=rest,
        test_by_seed=data.test_by_seed,
        skipped=data.skipped,
        warnings=data.warnings,
        has_bfloat16=devices.has_bfloat16(device),
        fast_bfloat16=devices.has_fast_bfloat16(device),
        has_float16=devices.has_float16(device),
        has_kernels=kernels.is_available(device),
        memory=devices.device_memory(device),
        sources=decisive_sources(),
        machine=described(),
        cores=cpu_count(),
        devices=devices.like_devices(device),
        gpus=devices.uuids(device),
        held=devices.held_memory(device),
        preprocessing=preprocessing_of(data),
        test_labels="" if data.test_by_seed else test_labels(data),
    )


def _speed(question: SpeedQuestion) -> Speed:
    """Measure the training speed of runs; a run that does not fit into the memory has a speed of zero."""
    from explorer.training.forms_timing import training_speeds

    _limit(question.runs[0])
    found = _unless_full(lambda: training_speeds(question.runs, question.seconds, question.limit))
    return Speed(*found) if found else Speed(((0.0,),) * len(question.runs), 0)


def _unless_full(measure: Callable[[], Found]) -> Found | None:
    """The result of a measurement; None if it runs out of memory."""
    from explorer.training.device import is_out_of_memory

    try:
        return measure()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None


def _latency(question: LatencyQuestion) -> Latencies:
    from explorer.training.latency import measure_latency

    found = measure_latency(
        list(question.architectures),
        question.task,
        device=question.device,
        precision=question.precision,
        batch_size=question.batch_size,
        turns=TURNS,
        seed=0,
        wait=LONGEST_WAIT,
        runtime=question.runtime,
    )
    return Latencies(tuple((1000 * one.lower, 1000 * one.median, 1000 * one.upper) for one in found))


def _measured(question: MeasureQuestion) -> Measured:
    from explorer.training.readings import measured

    found = measured(
        question.measure,
        question.architectures,
        question.task,
        device=question.device,
        precision=question.precision,
        turns=TURNS,
        wait=LONGEST_WAIT,
    )
    return Measured(found)


def _memory(question: MemoryQuestion) -> Measured:
    from explorer.training.peak_memory import peak_memory

    _limit(question.runs[0])
    return Measured(
        peak_memory(question.runs, question.work, question.batch_size, turns=TURNS, wait=LONGEST_WAIT),
    )


def _forms(question: FormsQuestion) -> Forms:
    import torch

    from explorer.training.forms_timing import fastest

    torch.set_num_threads(question.execution.threads)
    found = _unless_full(lambda: fastest(dict(question.uses), question.execution, question.limit))
    if found is not None:
        return found
    shapes = [shape for shape, _ in question.uses]  # a form that takes more memory has used it up: all stay as they are
    return Forms(tuple(Convolution(shape.key, shape.groups) for shape in shapes), tuple(one.key for one in shapes))


def _leave_with(parent: int) -> None:
    """End with the parent process: a killed coordinator sends no message, and a training worker reads no pipe."""
    while os.getppid() == parent:
        time.sleep(0.5)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
