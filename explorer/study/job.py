"""The messages between the coordinator and the engines that execute runs: jobs are sent, events are returned.

A worker knows neither Optuna nor the record; it receives a run and returns an outcome.
"""

from dataclasses import dataclass, field
from typing import Literal

from explorer.design.architecture import Architecture
from explorer.design.grouped import GroupedConv
from explorer.design.template import Task
from explorer.host.machine import described
from explorer.study.preprocessing import Preprocessing
from explorer.study.run import Convolution, EpochResult, Execution, Outcome, Run
from explorer.study.settings import DataConfig, Recipe


@dataclass(frozen=True)
class Job:
    """A run to execute.

    needs_count  check the architecture's cost with fvcore first
    judges       evaluate the test images after the last epoch; not allowed while a search still chooses designs
    weights      file for the weights after the last epoch; None: they are not kept
    loaders      threads that read streamed images; 0: one per core
    checkpoints  folder of the run's checkpoints, whose newest one it continues from; None: no checkpoints
    save_every   seconds between two checkpoints
    until        the epoch after which the run pauses; None: it is trained to its end
    filters      report how long its filters are and how far they turn
    """

    run: Run
    needs_count: bool
    judges: bool = True
    weights: str | None = None
    loaders: int = 0
    checkpoints: str | None = None
    save_every: float = 30.0
    until: int | None = None
    filters: bool = False


@dataclass(frozen=True)
class HostQuestion:
    """A question to a worker: which device, versions and data does it have?

    Parts of the `recipe` that extensions add are tried there, and refused where they cannot work.
    """

    data: DataConfig
    device: str
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Prepare:
    """The engine's request to a worker that waits: load what every run needs, so that the first one begins sooner.

    `place` is the index of the visible GPU that it is to use; None: the first one. The worker answers `Ready`.
    """

    data: DataConfig
    device: str
    place: int | None = None


@dataclass(frozen=True)
class HostReport:
    """A worker's answer to `HostQuestion`: its device, the versions that affect results, and its data.

    images        numbers of training, validation and test images
    rest_images   how many images at the end of the test part were left over from the training part
                  (`data.test_images=rest`)
    test_by_seed  how many test images every seed draws anew (`data.split_seed=each`); they come last
    skipped       images that were left out, each with the reason
    warnings      lines on what makes errors say less, such as test images that are copies of training images
    has_bfloat16  the device can compute in bfloat16
    fast_bfloat16  the device has hardware units for bfloat16, so that it should be faster than float32
    has_float16   the device is a GPU that has hardware units for float16
    has_kernels   this project's kernels for the device can be used (explorer/training/network/kernels, norms_triton.py)
    memory        of the device in bytes, for a GPU what no other process holds; 2^63 if it is not known
    held          bytes of a GPU's memory that each worker needs for the images
    preprocessing  what a network needs of its images; with `data.split_seed=each` that of the split of seed 0
    test_labels   the class of each test image in test order, as numbers with spaces between them; "" if each seed draws
                  test images of its own, or they are not known
    sources       digests of the sources that affect results, by path (explorer/training/sources.py)
    machine       description of the machine; by default that of the current process
    cores         that a process may use there
    devices       indices of the visible GPUs of this model; a single index for a CPU
    gpus          what NVIDIA calls them, in the same order; empty for a CPU
    """

    device: str
    device_name: str
    data_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    images: tuple[int, int, int] = (0, 0, 0)
    rest_images: int = 0
    test_by_seed: int = 0
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    has_bfloat16: bool = False
    fast_bfloat16: bool = False
    has_float16: bool = False
    has_kernels: bool = False
    memory: int = 1 << 63
    sources: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str | int] = field(default_factory=described)
    cores: int = 1
    devices: tuple[int, ...] = (0,)
    gpus: tuple[str, ...] = ()
    held: int = 0
    preprocessing: Preprocessing | None = None
    test_labels: str = ""


@dataclass(frozen=True)
class Placement:
    """How an engine places a study's runs on devices.

    host_report  the machine on which the study was planned; every machine must match it
    execution    the execution plan; its threads and device say what a run needs
    at_once      runs that share one device, or one machine if they run on its CPU
    most         largest number of runs at once, over all devices
    """

    host_report: HostReport
    execution: Execution
    at_once: int
    most: int


@dataclass(frozen=True)
class SpeedQuestion:
    """A question: how fast are the training steps of these runs, on random images, in turns of one step each?

    Each run is measured for about `seconds`, and longer if the comparison is not clear by then; after `limit` seconds
    the turns taken so far are used. A run that is measured alone has one turn at least.
    """

    runs: tuple[Run, ...]
    seconds: float
    limit: float


@dataclass(frozen=True)
class Speed:
    """A worker's answer to `SpeedQuestion`: images per second by run and turn, peak device memory in bytes (CPU: 0).

    A run that does not fit into the memory has a speed of zero.
    """

    turns: tuple[tuple[float, ...], ...]
    peak_memory: int


@dataclass(frozen=True)
class TogetherQuestion:
    """A question: how fast are a run's training steps while all workers that are asked train at the same time?

    Each worker warms up and sends `Ready`. After a common `Cue` all measure for `seconds`, and each goes on training
    until a second `Cue` says that all have measured: so the device has the same load during every measurement.
    """

    run: Run
    seconds: float


@dataclass(frozen=True)
class Ready:
    """A worker's event before it measures together with others, or after it was asked to prepare: it is ready."""


@dataclass(frozen=True)
class Cue:
    """The engine's signal to workers that measure together: start measuring, and later stop."""


@dataclass(frozen=True)
class LatencyQuestion:
    """A question: how long does a forward pass of each network take, in turns, with nothing else running?

    runtime  torch; onnx: each is exported and executed by ONNX Runtime on the processor
    """

    architectures: tuple[Architecture, ...]
    task: Task
    device: str
    precision: str
    batch_size: int
    runtime: Literal["torch", "onnx"] = "torch"


@dataclass(frozen=True)
class MemoryQuestion:
    """A question: how many MiB does each run take at its peak, in turns, with nothing else running?

    work  step: in training steps; pass: in a forward pass of `batch_size` images in evaluation mode
    """

    runs: tuple[Run, ...]
    work: Literal["step", "pass"]
    batch_size: int


@dataclass(frozen=True)
class Latencies:
    """A worker's answer to `LatencyQuestion`: lower quartile, median and upper quartile in milliseconds per network."""

    quartiles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class MeasureQuestion:
    """A question: what does a measure of an extension give for each network, in turns, with nothing else running?

    precision  of the study's execution
    """

    measure: str
    architectures: tuple[Architecture, ...]
    task: Task
    device: str
    precision: str


@dataclass(frozen=True)
class Measured:
    """A worker's answer to `MeasureQuestion`: lower quartile, median and upper quartile over the turns per network."""

    quartiles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class FormsQuestion:
    """A question: how is each convolution shape executed fastest, given the number of passes that the study plans?

    After `limit` seconds the remaining shapes are not measured.
    """

    uses: tuple[tuple[GroupedConv, int], ...]
    execution: Execution
    limit: float


@dataclass(frozen=True)
class Forms:
    """A worker's answer to `FormsQuestion`: the fastest execution of each convolution shape.

    `unmeasured` shapes have too few passes for a choice to pay off, or gave no clear result in the time allowed.
    """

    convolutions: tuple[Convolution, ...]
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counted:
    """fvcore agrees with the closed form of this run's architecture."""

    run_id: str
    fvcore_macs: int


@dataclass(frozen=True)
class Begun:
    """A run that waited for a free slot has started."""

    run_id: str


@dataclass(frozen=True)
class EpochDone:
    """A run has finished an epoch."""

    run_id: str
    result: EpochResult


@dataclass(frozen=True)
class Noted:
    """A message about a run for the user: it continues from a checkpoint, or no checkpoint can be written."""

    run_id: str
    message: str


@dataclass(frozen=True)
class RunDone:
    """A run has paused or ended, successfully or not. `details` is a traceback for developers if it failed."""

    run_id: str
    outcome: Outcome
    details: str = ""


@dataclass(frozen=True)
class Alive:
    """A sign of life for the engine, which ends a worker that sends nothing for too long."""


@dataclass(frozen=True)
class Lost:
    """A worker's last event: its process has lost its device during a run, which another process has to retry.

    For the engine alone. `details` is a traceback.
    """

    run_id: str
    message: str
    details: str = ""


@dataclass(frozen=True)
class Refused:
    """The job cannot be done on this machine for a reason in the user's input: one line that says why."""

    message: str


@dataclass(frozen=True)
class Mismatch:
    """The closed-form cost and the built network disagree; the study has to stop."""

    message: str


Event = Begun | Counted | EpochDone | Noted | RunDone | Mismatch
Question = (
    HostQuestion | SpeedQuestion | TogetherQuestion | LatencyQuestion | MeasureQuestion | MemoryQuestion | FormsQuestion
)
Answer = HostReport | Speed | Latencies | Measured | Forms | Refused
