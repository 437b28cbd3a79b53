"""The unit of work: a run trains one setting with one seed; its outcome is what it returns."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from explorer.design import Architecture, Cost, Task
from explorer.study.settings import DataConfig, Recipe

# "paused": the run waits for its search to decide whether it continues; never recorded. "pruned": it was stopped.
Status = Literal["ok", "diverged", "out_of_memory", "failed", "pruned", "paused"]
# Increase this when the meaning of a field changes; a new field with a default needs no change.
ID_SCHEME = 3
JUDGED_STATUSES: tuple[Status, ...] = ("ok", "diverged", "out_of_memory")
BASELINE = "baseline"  # value of `by` for the random designs that a search is compared with
FINAL_STATUSES: tuple[Status, ...] = (*JUDGED_STATUSES, "pruned")


_LAYOUTS = {"same": "", "channels_last": ", channels last", "padded": ", padded to a multiple of 8 channels a group"}


def as_recorded(rate: float) -> float:
    """A multiple of the recipe's learning rate as records have it, and as two are told apart."""
    return round(rate, 9)


@dataclass(frozen=True)
class Convolution:
    """How one shape of grouped convolution is executed: with `groups` groups, which may be fewer than its own.

    layer   `explorer.design.grouped.GroupedConv.key`
    layout  "same": that of the network; "contiguous", "channels_last": maps are copied to that order and back;
            "padded": as "same", each group padded with channels of zeros to a multiple of 8; "kernel": by this
            project's own kernel (explorer/training/network/narrow.py)
    """

    layer: str
    groups: int
    layout: str = "same"

    def described(self, groups: int) -> str:
        """Description for people; `groups` is the convolution's own number: `128>128_k3_s1_g32_32px as 16 groups`."""
        if self.layout == "kernel":
            return f"{self.layer} by our kernel"
        form = "as it is" if self.groups == groups else "dense" if self.groups == 1 else f"as {self.groups} groups"
        return f"{self.layer} {form}{_LAYOUTS.get(self.layout, f', {self.layout}')}"


@dataclass(frozen=True)
class Execution:
    """The execution plan of a study, fixed before its first run: every field may change the last bits of a result.

    device        "cpu" or "cuda"
    device_name   model of the device, for people
    form          of the blocks, as in the paper's figure 3
    layout        memory order of maps and weights: "channels_last" or "contiguous"
    precision     of convolutions and maps: "float32", "bfloat16" or "float16"; weights and optimiser state are always
                  float32
    threads       CPU threads of each worker
    micro_batch   images per pass; batch norm sees this many
    convolutions  grouped convolutions that are executed in another form; a study's plan holds those of all its
                  settings, a run those of its own network
    norms         "torch", or "fused": batch norm, addition and ReLU in one kernel (explorer/training/network/fused.py)
    deterministic  whether a GPU's kernels give the same bits each time; false: the fastest ones, which may not
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
    deterministic: bool = True


@dataclass(frozen=True)
class Run:
    """One network to train: everything that determines its result, and nothing else."""

    architecture: Architecture
    task: Task
    recipe: Recipe
    data: DataConfig
    data_hash: str
    seed: int
    execution: Execution

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash over all that determines the result: a run has one id in every study.

        Fields with their default value are left out, so that a later version may add fields without changing old ids.
        """
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        text = ",".join(f'"{name}":{_text(parts[name])}' for name in sorted(parts))
        return hashlib.sha256(f"{ID_SCHEME}:{{{text}}}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class EpochResult:
    """Results of one epoch; errors are fractions of images, the loss is the mean over the epoch.

    `train_error` and `loss` are measured while training: in training mode, on the augmented images.
    """

    epoch: int
    learning_rate: float
    loss: float
    train_error: float
    val_error: float
    seconds: float


@dataclass(frozen=True)
class Filters:
    """The filters of one of a run's k x k convolutions, k > 1; each number is a mean over the layer's filters.

    layer       name of the convolution in the grouped form, as `layer1.0.conv2`
    norm_start  squared norm of a filter before the first step; `norm_end` after the last one
    degrees     by which a filter turns in an epoch: the angle between its weights before and after it, mean over
                epochs. A last epoch that `recipe.steps` ends early does not count, unless it is the only one
    """

    layer: str
    norm_start: float
    norm_end: float
    degrees: float


@dataclass(frozen=True)
class Outcome:
    """The result of a run. Errors are those after the last epoch, not the best; None if there is none.

    epochs             epochs trained, all interruptions included; for a diverged run the one whose loss was not finite.
                       With `recipe.steps` those begun: the last one may have fewer steps
    seconds            wall time of training and evaluation, without data loading and interruptions
    images_per_second  training images per second of training time, without evaluation
    correct            one bit per test image in test order, packed eight to a byte; empty if nothing was tested
    test_images        number of those bits
    message            one line for the user if something went wrong
    host               name of the machine on which the run ended
    filters            of its k x k convolutions, if that was asked for and the run came to its end
    normalisation      mean and standard deviation of each channel of its training images, where its seed has a split of
                       its own
    cost               of the network that another program trained in place of the design, as it told it
    test_labels        the class of each test image, as in `HostReport`, where its seed has test images of its own
    """

    status: Status
    epochs: int
    train_error: float | None = None
    val_error: float | None = None
    test_error: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    images_per_second: float | None = None
    correct: bytes = b""
    test_images: int = 0
    message: str = ""
    host: str = ""
    filters: tuple[Filters, ...] = ()
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    cost: Cost | None = None
    test_labels: str = ""


# Bounds of the numbers in a table: a larger one cannot be a result, and could keep a reader busy without end.
Epochs = Annotated[int, Ge(0), Le(100_000)]  # as settings.Recipe allows
Error = Annotated[float, Ge(0), Le(1)]
Amount = Annotated[float, Ge(0), Le(1e18)]  # of seconds, milliseconds, images per second, nats
Whole = Annotated[int, Ge(1), Le(2**53)]  # of layers, channels, parameters, operations
Place = Annotated[int, Ge(0), Le(2**31 - 1)]  # of seeds and starts, counted from 0
Deviation = Annotated[float, Ge(-1), Le(1e18)]


@lru_cache(maxsize=1024)
def _text(part: Any) -> str:
    """The parts of a value that determine results, as JSON text; cached, since a study's runs share most of them."""
    return json.dumps(_decisive(part), sort_keys=True, separators=(",", ":"))


def _decisive(value: Any) -> Any:
    """A value as plain dictionaries and lists, without fields that do not affect results or have their default."""
    if is_dataclass(value):
        deciding: tuple[tuple[str, Any], ...] = _deciding(type(value))  # type: ignore[arg-type] # any type is hashable
        found = ((name, getattr(value, name), default) for name, default in deciding)
        return {name: _decisive(own) for name, own, default in found if own != default}
    return [_decisive(item) for item in value] if isinstance(value, tuple) else value


@lru_cache
def _deciding(kind: type) -> tuple[tuple[str, Any], ...]:
    """The names and defaults of a dataclass's fields that affect results."""
    return tuple((field.name, field.default) for field in fields(kind) if field.metadata.get("decides", True))


def joined_hash(data_hash: str) -> str:
    """The hash of a data set whose training and validation images are trained on together, from that of its split."""
    return hashlib.sha256(f"joined {data_hash}".encode()).hexdigest()[:16]
