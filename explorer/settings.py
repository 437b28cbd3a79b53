"""The settings of a study as frozen values, checked field by field when they are read from YAML.

Field names are the YAML keys. Only the standard library and constraint markers are imported here,
so that plan, report and workers can all read settings without loading a heavy package.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from explorer.design.space import DesignSpace

Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Natural = Annotated[int, Ge(0), Le(2**31 - 1)]
Rate = Annotated[float, Ge(0), Lt(math.inf)]
Fraction = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class Contrast:
    """The one comparison declared before the first run: does `setting` have a lower test error than `against`?

    Each is a short name (`29-32x4d`), or only its paths (`32x4d`) where one setting of the study has them.
    """

    setting: str
    against: str


@dataclass(frozen=True)
class Question:
    """What a study asks, in words and as a contrast."""

    question: Annotated[str, MinLen(1)]
    contrast: Contrast


@dataclass(frozen=True)
class BudgetConfig:
    """The complexity all settings share: the cost of a reference architecture, or a number.

    axis       what is held equal: params, or macs (multiply-adds, the papers' "FLOPs")
    reference  a short name, or only paths (`1x64d`) completed by the space's depth, width, kernel and template
    target     the cost itself, where there is no reference
    tolerance  largest accepted deviation, as a fraction
    """

    axis: Literal["params", "macs"]
    reference: str | None
    target: Count | None
    tolerance: Fraction


@dataclass(frozen=True)
class DataConfig:
    """A data set and its split; the split is seeded, stratified by class and the same for every run of a study."""

    name: Literal["digits"]
    label: Annotated[str, MinLen(1)]
    channels: Count
    image_size: Count
    classes: Annotated[int, Ge(2)]
    train_images: Count
    val_images: Count
    test_images: Count
    split_seed: Natural


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum on cross-entropy, the same for every setting of a study.

    schedule            one_cycle: linear warm-up, then a cosine to zero; step: a tenth at each milestone
    warmup              fraction of all steps spent warming up (one_cycle)
    milestones          fractions of all epochs after which the rate falls (step)
    weight_decay        on all parameters, as in the paper's code
    shift               images are padded by this many pixels of the mean colour and cropped back at random
    flip                images are mirrored left to right with probability one half
    zero_init_residual  the last batch norm of each block starts at zero, so each block starts as the identity
    """

    epochs: Annotated[int, Ge(1), Le(100_000)]
    batch_size: Count
    learning_rate: Annotated[float, Gt(0), Lt(math.inf)]
    schedule: Literal["one_cycle", "step"]
    warmup: Fraction
    milestones: tuple[Annotated[float, Gt(0), Le(1)], ...]
    momentum: Fraction
    nesterov: bool
    weight_decay: Rate
    label_smoothing: Fraction
    shift: Natural
    flip: bool
    zero_init_residual: bool


@dataclass(frozen=True)
class SearchConfig:
    """Which runs a study consists of: every design of the space, each trained with seeds 0 to seeds-1."""

    sampler: Literal["listed"]
    seeds: Annotated[int, Ge(1), Le(10_000)]


@dataclass(frozen=True)
class EngineConfig:
    """What executes the runs.

    workers  processes, each training one run at a time; auto: one per CPU core, or one for a GPU
    threads  CPU threads of each worker; fixed by the study's first start, since sums depend on it in the last bits
    retries  how often a run is tried again after its process has died
    """

    name: Literal["local"]
    workers: Count | Literal["auto"]
    threads: Count
    retries: Natural


@dataclass(frozen=True)
class StorageConfig:
    """Where the mirror for optuna-dashboard goes; the record itself is always in the study's folder."""

    mirror: Literal["sqlite", "none"]


@dataclass(frozen=True)
class StudyConfig:
    """A whole study: the question and everything that decides its answer."""

    name: str
    device: Literal["auto", "cpu", "cuda"]
    study: Question
    space: DesignSpace
    budget: BudgetConfig
    data: DataConfig
    recipe: Recipe
    search: SearchConfig
    engine: EngineConfig
    storage: StorageConfig
