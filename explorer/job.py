"""The contract between the coordinator and whatever executes runs: jobs go out, events come back.

A worker knows neither Optuna nor the record; it gets a run and returns an outcome.
"""

from dataclasses import dataclass, field

from explorer.design.architecture import Architecture
from explorer.design.grouped import GroupedConv
from explorer.design.template import Task
from explorer.run import Convolution, EpochResult, Execution, Outcome, Run
from explorer.settings import DataConfig


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
class Survey:
    """A question to a worker: what is there to run on, and what is in the data?"""

    data: DataConfig
    device: str


@dataclass(frozen=True)
class Surroundings:
    """The answer: the device a run would use, versions of what decides its number, and what is in the data.

    images        of the training, validation and test parts
    skipped       images that were left out, each with the reason
    has_bfloat16  the device can compute in bfloat16
    has_kernels   kernels of our own can be used (explorer/training/kernels)
    memory        of the device in bytes
    sources       digests of the sources that decide a number, by path (explorer/sources.py)
    """

    device: str
    device_name: str
    data_hash: str
    versions: dict[str, str] = field(default_factory=dict)
    images: tuple[int, int, int] = (0, 0, 0)
    skipped: tuple[str, ...] = ()
    has_bfloat16: bool = False
    has_kernels: bool = False
    memory: int = 0
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SpeedQuestion:
    """How fast are the training steps of these runs, on random images, in turns, for about so many seconds each?"""

    runs: tuple[Run, ...]
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Images per second of each run, and the peak of the device's memory in bytes (0 on a CPU)."""

    images_per_second: tuple[float, ...]
    peak_memory: int


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
    """Which execution of each shape is the fastest, given how many passes of each a study plans?"""

    uses: tuple[tuple[GroupedConv, int], ...]
    execution: Execution


@dataclass(frozen=True)
class Forms:
    """The fastest execution of each shape asked for; `unmeasured` shapes are used too little to be worth a choice."""

    convolutions: tuple[Convolution, ...]
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counted:
    """fvcore agrees with the closed form of this run's architecture."""

    run_id: str
    fvcore_macs: int


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
class Refused:
    """What a person asked for cannot be done here: one line for them."""

    message: str


@dataclass(frozen=True)
class Mismatch:
    """The closed form and the built network disagree; the study has to stop."""

    message: str


Event = Counted | EpochDone | Noted | RunDone | Mismatch
Question = Survey | SpeedQuestion | LatencyQuestion | FormsQuestion
Answer = Surroundings | Speed | Latencies | Forms | Refused
