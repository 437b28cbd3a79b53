"""The settings of a study as frozen values, checked field by field when they are read from YAML.

Field names are the YAML keys. Only the standard library and constraint markers are imported here,
so that plan, report and workers can all read settings without loading a heavy package.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from explorer.design.space import Space

Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Natural = Annotated[int, Ge(0), Le(2**31 - 1)]
Target = Annotated[int, Ge(1), Le(2**59)]
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
    """What a study asks, in words and as a contrast; a search, which chooses among many, has none."""

    question: Annotated[str, MinLen(1)]
    contrast: Contrast | None


@dataclass(frozen=True)
class LimitConfig:
    """What one axis of the cost is held to.

    tolerance  largest accepted deviation, as a fraction
    target     the cost itself; null: that of the budget's reference
    """

    tolerance: Fraction
    target: Target | None = None


@dataclass(frozen=True)
class BudgetConfig:
    """The complexity all settings share; any combination of axes may be held, and those that are null are not.

    reference    a short name, or only paths (`1x64d`) completed by the space's depth, width, kernel and template
    params       parameters
    macs         multiply-adds, the papers' "FLOPs"
    activations  output values of all convolutions
    match        rule: one bottleneck width, doubled from stage to stage; tight: one for each stage
    """

    reference: str | None
    params: LimitConfig | None = None
    macs: LimitConfig | None = None
    activations: LimitConfig | None = None
    match: Literal["rule", "tight"] = "rule"


@dataclass(frozen=True)
class DataConfig:
    """A data set and its split; the split is seeded, stratified by class and the same for every run of a study."""

    name: Literal["digits"]
    label: Annotated[str, MinLen(1)] = field(metadata={"decides": False})
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
    """Which designs of the space a study trains, each with seeds 0 to seeds-1.

    sampler       listed: every one; uniform, space_filling: `designs` of the feasible ones, drawn before the first run;
                  random, tpe, nsga2, gp, qmc: `designs` of them, each chosen by Optuna from the results before it
    designs       how many; null for listed
    sampler_seed  seed of the drawing
    """

    sampler: Literal["listed", "uniform", "space_filling", "random", "tpe", "nsga2", "gp", "qmc"]
    seeds: Annotated[int, Ge(1), Le(10_000)]
    designs: Annotated[int, Ge(1), Le(100_000)] | None = None
    sampler_seed: Natural = 0

    @property
    def is_adaptive(self) -> bool:
        """Whether results decide what is trained next; the test images are then not looked at."""
        return self.sampler not in ("listed", "uniform", "space_filling")


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
    """What is kept beside the record, which is always in the study's folder.

    mirror   a database for optuna-dashboard
    weights  last: each run's weights after its last epoch, as local/weights/<run>.safetensors
    """

    mirror: Literal["sqlite", "none"]
    weights: Literal["none", "last"] = "none"


@dataclass(frozen=True)
class StudyConfig:
    """A whole study: the question and everything that decides its answer."""

    name: str
    device: Literal["auto", "cpu", "cuda"]
    study: Question
    space: Space
    budget: BudgetConfig
    data: DataConfig
    recipe: Recipe
    search: SearchConfig
    engine: EngineConfig
    storage: StorageConfig


@dataclass(frozen=True)
class VerifyConfig:
    """`do=verify`: an architecture's cost by every referee, and its equivalent forms side by side.

    channels, image_size, classes  the task; null: the template's own
    batch_size, repeats            of the timing: images a pass, and passes of which the median is told
    """

    architecture: str | None
    channels: Count | None
    image_size: Count | None
    classes: Count | None
    device: Literal["auto", "cpu", "cuda"]
    batch_size: Count
    repeats: Count
    seed: Natural


@dataclass(frozen=True)
class ExportConfig:
    """`do=export`: a design as files that need nothing of this project.

    weights  a safetensors file of trained weights, as a study keeps with storage.weights=last; null: none
    folder   where the design's own folder goes
    onnx     write ONNX as well
    """

    architecture: str | None
    channels: Count | None
    image_size: Count | None
    classes: Count | None
    weights: str | None
    folder: str
    onnx: bool
    seed: Natural


@dataclass(frozen=True)
class BenchmarkConfig:
    """`do=benchmark`: how fast designs are costed, one by one, many at once, and by counting a built network.

    designs  drawn at random and costed many at once; the first `scalar` of them also one by one, `fvcore` by fvcore
    scan     whether a space of ten million points is held to a budget too
    """

    subject: Literal["costs"]
    designs: Count
    scalar: Count
    fvcore: Count
    scan: bool
    seed: Natural


VerbConfig = VerifyConfig | ExportConfig | BenchmarkConfig
