"""The unit of work: a run is one setting and one seed, and what came of it."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from explorer.design import Architecture, Task
from explorer.study.settings import DataConfig, Recipe

# "paused" is a run that waits for its search to let it go on; it is never recorded, "pruned" is one that may not.
Status = Literal["ok", "diverged", "out_of_memory", "failed", "pruned", "paused"]
# Raise this when the meaning of a field changes; a new field with a default needs nothing.
ID_SCHEME = 3
JUDGED_STATUSES: tuple[Status, ...] = ("ok", "diverged", "out_of_memory")
BASELINE = "baseline"  # what chose the designs that a search is held against: chance
FINAL_STATUSES: tuple[Status, ...] = (*JUDGED_STATUSES, "pruned")


@dataclass(frozen=True)
class Convolution:
    """How one shape of grouped convolution is executed: as so many groups, which may be fewer than it has.

    layer   `explorer.design.grouped.GroupedConv.key`
    layout  "same" as the network's; "contiguous": maps are put in the order of their channels and back; "kernel": by
            a kernel of our own (explorer/training/network/narrow.py)
    """

    layer: str
    groups: int
    layout: str = "same"

    def told(self, groups: int) -> str:
        """For people, of a convolution that has so many groups: `128>128_k3_s1_g32_32px as 16 groups`."""
        if self.layout == "kernel":
            return f"{self.layer} by our kernel"
        form = "as it is" if self.groups == groups else "dense" if self.groups == 1 else f"as {self.groups} groups"
        return f"{self.layer} {form}{'' if self.layout == 'same' else f', {self.layout}'}"


@dataclass(frozen=True)
class Execution:
    """How runs are executed, fixed before a study's first run: every field may change the last bits of a result.

    device        "cpu" or "cuda"
    device_name   model of the device, for people
    form          of the blocks, as in the paper's figure 3
    layout        memory order of images and weights
    precision     of convolutions and maps; weights and optimiser are always in float32
    threads       CPU threads of each worker
    micro_batch   images per pass; batch norm sees this many
    convolutions  grouped convolutions that are not executed as they are: a study's plan holds those of all its
                  settings, a run those of its own network
    norms         "torch", or "fused": batch norm, addition and ReLU in one kernel (explorer/training/network/fused.py)
    """

    device: str
    device_name: str
    form: str
    layout: str
    precision: str
    threads: Annotated[int, Ge(1), Le(2**16)]
    micro_batch: Annotated[int, Ge(1), Le(2**31 - 1)]
    convolutions: tuple[Convolution, ...] = ()
    norms: Literal["torch", "fused"] = "torch"


@dataclass(frozen=True)
class Run:
    """One network to train: everything that decides its number, and nothing else."""

    architecture: Architecture
    task: Task
    recipe: Recipe
    data: DataConfig
    data_hash: str
    seed: int
    execution: Execution

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash over all that decides: the same run has the same id in every study.

        Fields that have their default are left out, so that a later version may add some without renaming old runs.
        """
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        text = ",".join(f'"{name}":{_text(parts[name])}' for name in sorted(parts))
        return hashlib.sha256(f"{ID_SCHEME}:{{{text}}}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class EpochResult:
    """What is known after one epoch; errors are fractions of images, the loss is the mean over the epoch.

    `train_error` and `loss` are measured while training: in training mode, on the augmented images.
    """

    epoch: int
    learning_rate: float
    loss: float
    train_error: float
    val_error: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came of a run. Errors are those after the last epoch, never the best; None where there is none.

    epochs             epochs trained, all interruptions included; for a diverged run the one whose loss was not finite
    seconds            wall time of training and evaluation, data loading and interruptions left out
    images_per_second  training images over training time, evaluation left out
    correct            one bit per test image in test order, packed eight to a byte; empty without a test
    test_images        number of those bits
    message            one line for a person when something went wrong
    host               name of the machine that brought it to its end
    """

    status: Status
    epochs: int
    train_error: float | None
    val_error: float | None
    test_error: float | None
    loss: float | None
    seconds: float
    images_per_second: float | None
    correct: bytes = b""
    test_images: int = 0
    message: str = ""
    host: str = ""


# What a table may hold: a number beyond is nobody's result, and could keep a reader busy for ever.
Epochs = Annotated[int, Ge(0), Le(100_000)]  # as settings.Recipe allows
Error = Annotated[float, Ge(0), Le(1)]
Amount = Annotated[float, Ge(0), Le(1e18)]  # of seconds, milliseconds, images per second, nats
Whole = Annotated[int, Ge(1), Le(2**53)]  # of layers, channels, parameters, operations
Place = Annotated[int, Ge(0), Le(2**31 - 1)]  # of seeds and starts, counted from 0
Deviation = Annotated[float, Ge(-1), Le(1e18)]


@lru_cache(maxsize=1024)
def _text(part: Any) -> str:
    """What decides of a part of a run, as text; most runs of a study share all but one or two of their parts."""
    return json.dumps(_decisive(part), sort_keys=True, separators=(",", ":"))


def _decisive(value: Any) -> Any:
    """A value as plain dictionaries and lists, without what decides nothing and what has its default."""
    if is_dataclass(value):
        return {
            field.name: _decisive(getattr(value, field.name))
            for field in fields(value)
            if field.metadata.get("decides", True) and getattr(value, field.name) != field.default
        }
    return [_decisive(item) for item in value] if isinstance(value, tuple) else value
