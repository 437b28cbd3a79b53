"""The contract between the coordinator and whatever executes runs: jobs go out, events come back.

A worker knows neither Optuna nor the record; it gets a run and returns an outcome.
"""

from dataclasses import dataclass, field

from explorer.design.architecture import Architecture
from explorer.design.grouped import GroupedConv
from explorer.design.template import Task
from explorer.host.machine import described
from explorer.study.run import Convolution, EpochResult, Execution, Outcome, Run
from explorer.study.settings import DataConfig


@dataclass(frozen=True)
class Job:
    """A run to execute.

    needs_count  check its architecture with fvcore first
    judges       evaluate the test images after the last epoch; a search that still chooses must not
    weights      where to keep the weights after the last epoch
    loaders      threads that read streamed images; 0: one per core
    checkpoints  folder of its checkpoints, from the newest of which it goes on; None: none are made
    save_every   seconds between two of them
    until        the epoch after which it pauses; None: it is trained to its end
    """

    run: Run
    needs_count: bool
    judges: bool = True
    weights: str | None = None
    loaders: int = 0
    checkpoints: str | None = None
    save_every: float = 30.0
    until: int | None = None


@dataclass(frozen=True)
class HostQuestion:
    """A question to a worker: what is there to run on, and what is in the data?"""

    data: DataConfig
    device: str


@dataclass(frozen=True)
class HostReport:
    """The answer: the device a run would use, versions of what decides its number, and what is in the data.

    images        of the training, validation and test parts
    rest_images   of the test part, at its end: what was left over of the training part (`data.test_images=rest`)
    skipped       images that were left out, each with the reason
    has_bfloat16  the device can compute in bfloat16
    fast_bfloat16  it has units of its own for that, so that this should be faster than float32
    has_kernels   kernels of our own can be used (explorer/training/kernels)
    memory        of the device in bytes; 2^63 where it is not known
    sources       digests of the sources that decide a number, by path (explorer/training/sources.py)
    machine       what the machine is: this one, where the worker was not asked
    cores         that a process may use there
    devices       places of the GPUs of this model among those that can be seen; one place for a CPU
    """

    device: str
    device_name: str
    data_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    images: tuple[int, int, int] = (0, 0, 0)
    rest_images: int = 0
    skipped: tuple[str, ...] = ()
    has_bfloat16: bool = False
    fast_bfloat16: bool = False
    has_kernels: bool = False
    memory: int = 1 << 63
    sources: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str | int] = field(default_factory=described)
    cores: int = 1
    devices: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Placement:
    """How a study's runs are executed, wherever that is.

    host_report  on what the study was planned, and what every place must therefore offer
    execution     of which threads and device say what a run takes
    at_once       runs that share one device, or one machine where that is its processor
    most          runs at once in all
    """

    host_report: HostReport
    execution: Execution
    at_once: int
    most: int


@dataclass(frozen=True)
class SpeedQuestion:
    """How fast are the training steps of these runs, on random images, in turns of one step each?

    Each is measured for about so many seconds, longer where the answer is not clear by then; after `limit` seconds in
    all the turns until then have to do. A run that is asked about alone is measured for one turn at least.
    """

    runs: tuple[Run, ...]
    seconds: float
    limit: float


@dataclass(frozen=True)
class Speed:
    """Images per second of each run in each turn, and the peak of the device's memory in bytes (0 on a CPU).

    What does not fit into the memory has a speed of zero.
    """

    turns: tuple[tuple[float, ...], ...]
    peak_memory: int


@dataclass(frozen=True)
class TogetherQuestion:
    """How fast are a run's training steps on random images while all workers asked take them at the same time?

    Each warms up and says `Ready`; at a common `Cue` all measure for so many seconds, and each goes on taking steps
    until a second one tells that all have measured. So a device has the same load in all of every window.
    """

    run: Run
    seconds: float


@dataclass(frozen=True)
class Ready:
    """A worker's word before it measures together with others: it has warmed up."""


@dataclass(frozen=True)
class Cue:
    """The engine's word to workers that measure together: now."""


@dataclass(frozen=True)
class LatencyQuestion:
    """How long does one forward pass of these networks take, in turns, with nothing else running?"""

    architectures: tuple[Architecture, ...]
    task: Task
    device: str
    precision: str
    batch_size: int


@dataclass(frozen=True)
class Latencies:
    """Milliseconds of each: lower quartile, median, upper quartile over many passes."""

    quartiles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class FormsQuestion:
    """Which execution of each shape is the fastest, given how many passes of each a study plans?

    After `limit` seconds the shapes that are left are not measured any more.
    """

    uses: tuple[tuple[GroupedConv, int], ...]
    execution: Execution
    limit: float


@dataclass(frozen=True)
class Forms:
    """The fastest execution of each shape asked for.

    `unmeasured` ones are used too little to be worth a choice, or could not be measured clearly in the time given.
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
    """A run that had to wait for a place is being executed now."""

    run_id: str


@dataclass(frozen=True)
class EpochDone:
    """A run has finished an epoch."""

    run_id: str
    result: EpochResult


@dataclass(frozen=True)
class Noted:
    """Something about a run that a person should know: it goes on from a checkpoint, or cannot be kept."""

    run_id: str
    message: str


@dataclass(frozen=True)
class RunDone:
    """A run has paused or ended, one way or another. `details` is a traceback for our own eyes where it failed."""

    run_id: str
    outcome: Outcome
    details: str = ""


@dataclass(frozen=True)
class Alive:
    """A run goes on training; for the engine alone, which would give up a worker that says nothing for long."""


@dataclass(frozen=True)
class Lost:
    """A worker's last word: its process has lost its device in a run, which another process is to try again.

    For the engine alone. `details` is a traceback.
    """

    run_id: str
    message: str
    details: str = ""


@dataclass(frozen=True)
class Refused:
    """What a person asked for cannot be done here: one line for them."""

    message: str


@dataclass(frozen=True)
class Mismatch:
    """The closed form and the built network disagree; the study has to stop."""

    message: str


Event = Begun | Counted | EpochDone | Noted | RunDone | Mismatch
Question = HostQuestion | SpeedQuestion | TogetherQuestion | LatencyQuestion | FormsQuestion
Answer = HostReport | Speed | Latencies | Forms | Refused
