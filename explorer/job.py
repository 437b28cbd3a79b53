"""The contract between the coordinator and whatever executes runs: jobs go out, events come back.

A worker knows neither Optuna nor the record; it gets a run and returns an outcome.
"""

from dataclasses import dataclass, field

from explorer.run import EpochResult, Outcome, Run
from explorer.settings import DataConfig


@dataclass(frozen=True)
class Job:
    """A run to execute.

    needs_count  check its architecture with fvcore first
    judges       evaluate the test images after the last epoch; a search that still chooses must not
    weights      where to keep the weights after the last epoch
    """

    run: Run
    needs_count: bool
    judges: bool = True
    weights: str | None = None


@dataclass(frozen=True)
class Survey:
    """A question to a worker: what is there to run on, and what is in the data?"""

    data: DataConfig
    device: str


@dataclass(frozen=True)
class Surroundings:
    """The answer: the device a run would use, versions of what decides its number, and the hash of the data."""

    device: str
    device_name: str
    data_hash: str
    versions: dict[str, str] = field(default_factory=dict)


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
class RunDone:
    """A run has ended, one way or another. `details` is a traceback for our own eyes where it failed."""

    run_id: str
    outcome: Outcome
    details: str = ""


@dataclass(frozen=True)
class Refused:
    """What a person asked for cannot be done here: one line for them."""

    message: str


@dataclass(frozen=True)
class Mismatch:
    """The closed form and the built network disagree; the study has to stop."""

    message: str


Event = Counted | EpochDone | RunDone | Mismatch
Answer = Surroundings | Refused
