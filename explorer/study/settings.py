"""The configuration of a study as frozen values, checked field by field when it is read from YAML.

Field names are the YAML keys. Only the standard library and constraint markers are imported here, so that plan, report
and workers can read the configuration without loading a heavy package.
"""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from explorer.design.cost_measures import ADDED, COUNTED, MEASURES, OURS, READ
from explorer.design.space import Space
from explorer.design.template import Task
from explorer.study import samplers

Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Natural = Annotated[int, Ge(0), Le(2**31 - 1)]
Target = Annotated[int, Ge(1), Le(2**59)]
Rate = Annotated[float, Ge(0), Lt(math.inf)]
Bound = Annotated[float, Ge(0), Le(1e18)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Share = Annotated[float, Gt(0), Lt(1)]
Shape = Annotated[float, Ge(0), Le(100)]  # of a beta distribution
Number = Annotated[float, Gt(-math.inf), Lt(math.inf)]
Pruner = Literal["none", "halving", "hyperband", "median"]
Precision = Literal["float32", "bfloat16", "float16"]
Tracker = Literal["mlflow", "wandb", "tensorboard"]
LARGEST_SIDE = 2**13  # pixels of the longest image side; larger images are not decoded
MOST_EPOCHS = 100_000
MOST_FINAL_SEEDS = 10_000
MOST_HOURS = 100_000.0  # of a start: eleven years
LOOKS = (6, 12, 20)  # numbers of seeds at which search.seeds=auto looks at the results
# The robustness checks of a contrast, each by the rival explanation that it takes away (see `explorer.study.checks`).
# length_16 is the check of length with an arm more, of sixteen times the epochs.
Check = Literal["init", "rate", "length", "cost", "width", "time", "precision", "split", "length_16"]
ASIDE = {"decides": False}  # marks a field that does not affect a run's result
WORDS = {"words": True}  # marks the field of a verb's settings that takes words of a command without a key
OF_RAY, OF_SLURM = {"of": "ray"}, {"of": "slurm"}  # mark a field that only one engine has


@dataclass(frozen=True)
class Contrast:
    """The one comparison, declared before the first run: does `setting` have a lower test error than `against`?

    Each is a short name (`29-32x4d`), or only its paths (`32x4d`) where one setting of the study has them.
    """

    setting: str
    against: str


@dataclass(frozen=True)
class Question:
    """A study's question, in words and as a contrast; a search, which chooses among many designs, has no contrast.

    margin      largest difference of the two test errors that does not matter, as a fraction, declared with the
                contrast: within it two settings are equivalent; null: equivalence is never claimed
    robustness  the robustness checks to make once the study is finished; they are studies of their own in its folder
                and decide nothing about its runs
    labels      by space of a study of populations, what pages, tables and the terminal call it, in place of its key;
                labels decide nothing
    """

    question: Annotated[str, MinLen(1)]
    contrast: Contrast | None
    margin: Share | None = None
    robustness: tuple[Check, ...] = ()
    labels: dict[str, Annotated[str, MinLen(1)]] = field(default_factory=dict, metadata=ASIDE)


TRAINED = {"macs": "training compute", "time": "training time"}  # what `budget.train` makes equal, in words


def filled(question: str, label: str, held: list[str], cost: str, train: str = "epochs") -> str:
    """Fill the placeholders of a question: the images, what is held equal, and the cost that is minimised."""
    parts = [one.words for axis, one in COUNTED.items() if axis in held]
    equal = " and ".join([*parts, *([TRAINED[train]] if train in TRAINED else [])])
    if not equal:
        question = question.replace(" within a budget of {budget}", ", whatever it costs")
    words = {
        "{data}": label,
        "{budget}": equal or "cost, though none is held,",
        "{cost}": MEASURES[cost].words if cost in MEASURES else "milliseconds",
    }
    for key, word in words.items():
        question = question.replace(key, word)
    return question.replace("held,,", "held,")


NO_PATH = "data.path is missing; say for example data.path=photos"


@dataclass(frozen=True)
class LimitConfig:
    """The limit on one cost measure of a budget.

    tolerance  largest accepted deviation, as a fraction
    target     the cost to meet; null: that of the budget's reference
    at_most    whether no design may cost more than the target, so that the tolerance holds below it alone
    """

    tolerance: Fraction
    target: Target | None = None
    at_most: bool = False


@dataclass(frozen=True)
class Bounds:
    """The limits on a measure that an extension adds; without any it is only shown.

    least, most  bounds of its number, both included; null: none
    """

    least: Bound | None = None
    most: Bound | None = None

    def __post_init__(self) -> None:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least={self.least:g}: allowed is at most most, {self.most:g}")

    def holds(self, value: float) -> bool:
        """Whether a number is within the bounds."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"

    @property
    def has_any(self) -> bool:
        """Whether there is a bound."""
        return self.least is not None or self.most is not None


@dataclass(frozen=True)
class LatencyConfig:
    """A limit on the time of a forward pass in evaluation mode, measured for a design before it may be trained.

    most       milliseconds within which three quarters of its passes end
    batch      images of a pass
    device     study: the one it would be trained on; cpu: the processor of this machine, on all its cores
    precision  study: the one it would be trained in, for which ONNX Runtime takes float32
    runtime    torch: as this project executes it; onnx: exported, and executed by ONNX Runtime on the processor
    """

    most: Annotated[float, Gt(0), Le(1e9)]
    batch: Count = 1
    device: Literal["study", "cpu"] = "study"
    precision: Literal["study"] | Precision = "study"
    runtime: Literal["torch", "onnx"] = "torch"

    def __post_init__(self) -> None:
        if self.runtime == "onnx" and self.precision not in ("study", "float32"):
            raise ValueError(f"precision={self.precision}: runtime=onnx computes in float32; say precision=float32")

    def where(self, device: str, precision: str) -> tuple[str, str]:
        """The device and the precision of the passes in a study that trains on a device in a precision."""
        device = "cpu" if self.device == "cpu" or self.runtime == "onnx" else device
        own = "float32" if self.runtime == "onnx" else precision
        return device, own if self.precision == "study" else self.precision

    @property
    def words(self) -> str:
        """What is timed, for a sentence after `milliseconds of`."""
        images = "1 image" if self.batch == 1 else f"{self.batch:,} images"
        place = " on the processor" if self.device == "cpu" or self.runtime == "onnx" else ""
        precision = "" if self.precision == "study" else f" in {self.precision}"
        return f"{images}{place}{precision}{' by ONNX Runtime' if self.runtime == 'onnx' else ''}"


@dataclass(frozen=True)
class MemoryConfig:
    """A limit on the memory that a network takes at its peak, measured for a design before it may be trained.

    most   MiB: on a GPU of what torch allocates there, on a processor of what the process grows by
    work   step: one of training, on the images of the recipe's pass; pass: one forward pass in evaluation mode
    batch  images of the pass; null: those of the recipe's pass
    """

    most: Annotated[float, Gt(0), Le(1e9)]
    work: Literal["step", "pass"] = "step"
    batch: Count | None = None

    def __post_init__(self) -> None:
        if self.work == "step" and self.batch is not None:
            raise ValueError(f"batch={self.batch}: work=step takes the recipe's images; say work=pass, or leave it out")

    @property
    def words(self) -> str:
        """What takes the memory, for a sentence after `MiB of peak memory`."""
        if self.work == "step":
            return "in training"
        return f"in a pass of {'the recipe' if self.batch is None else f'{self.batch:,} images'}"


@dataclass(frozen=True)
class BudgetConfig:
    """The cost that all settings have in common; any combination of measures may be limited, null ones are not.

    reference    a short name, or only paths (`1x64d`) completed by the space's depth, width, kernel and template
    params       parameters
    macs         multiply-adds, the papers' "FLOPs"
    activations  output values of all convolutions
    match        rule: one bottleneck width, doubled from stage to stage; tight: one for each stage
    limits       bounds of measures that extensions add, by name; a design outside is never trained. null: none
    latency, memory  limits that are measured on a device, of a forward pass and of memory; a design outside is never
                 trained
    train        how long each design is trained. epochs: as the recipe says; macs: for as many multiply-adds times
                 images as the reference design; time: for as many seconds, by speeds that the first start measures
    """

    reference: str | None
    params: LimitConfig | None = None
    macs: LimitConfig | None = None
    activations: LimitConfig | None = None
    match: Literal["rule", "tight"] = "rule"
    limits: dict[str, Bounds] | None = None
    latency: LatencyConfig | None = None
    memory: MemoryConfig | None = None
    train: Literal["epochs", "macs", "time"] = "epochs"

    def __post_init__(self) -> None:
        for name in self.limits or {}:
            if name not in ADDED:
                known = f"{', '.join(ADDED)}, and others" if ADDED else "those"
                raise ValueError(f"limits.{name}=...: allowed: {known} that extensions=FILE.py adds as measures")

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The bounds of measures of which a study keeps readings, by name."""
        own = {"pass_ms": self.latency, "peak_mib": self.memory}
        return {**(self.limits or {}), **{name: Bounds(most=one.most) for name, one in own.items() if one}}

    def bound_words(self, name: str) -> str:
        """A bound in words, with what is measured: `at most 5 milliseconds of a forward pass of 1 image`."""
        ours = {"pass_ms": self.latency, "peak_mib": self.memory}.get(name)
        what = "" if ours is None else f" {'of ' if name == 'pass_ms' else ''}{ours.words}"
        return f"{self.bounds[name]} {READ[name].words}{what}"

    @property
    def held(self) -> dict[str, LimitConfig]:
        """The limited measures, with their limits."""
        limits = {axis: getattr(self, axis) for axis in COUNTED}
        return {axis: limit for axis, limit in limits.items() if limit is not None}


@dataclass(frozen=True)
class DataConfig:
    """A data set and its split, which is seeded and stratified by class.

    The source of the images does not affect results: their content is hashed, and a study continues only with the
    same content (pixels of resident images, files of streamed ones).

    name          as stored in the record; by default the last part of `path`
    label         name that is displayed
    channels      1 grey, 3 colour: images are converted
    image_size    height and width in pixels that the network sees
    train_images  null: all that remain
    val_images    number, or a share of the training part; null: the set's own validation part
    test_images   number, or a share of the training part; null: the set's own test part; rest: that part, if there is
                  one, and every image of the training part that is neither trained nor validated on
    split_seed    of the one split that all runs of a study share; each: every run's own seed, so that runs of one seed
                  share a split and other seeds have other ones. What is taken from the set's own validation and test
                  part is then the same in all of them, as with split_seed 0
    source        digits: embedded; hub: a data set of the Hugging Face hub; parquet: a local folder laid out as on the
                  hub; folder: image files in train/, val/ and test/, or in one folder, with one folder for each class;
                  elsewhere: read and trained on by another program, which tells its results; imported: never read, the
                  results were imported from a file (`explorer import`); or the name of a source that an extension adds
    path          name on the hub, or local folder
    subset        the hub's configuration of the data set, where it has several
    *_column, *_part  names of columns and of the set's parts, if they are not the usual ones; part "none": the set's
                  own part is not used, and images are taken from the training part instead
    resize        shorter side in pixels after resizing, before the centre is cropped; null: images must have image_size
    unusable      refuse: an image that cannot be read or has no label stops the study; skip: it is left out, reported
    keep          resident: decoded images stay in memory; stream: they are decoded again each epoch; auto: by size
    joined        the validation images are trained on as well, as in the final round of a search; the validation error
                  of such a run is measured on images that it was trained on
    """

    name: Annotated[str, MinLen(1)] = field(metadata=ASIDE)
    label: Annotated[str, MinLen(1)] = field(metadata=ASIDE)
    channels: Literal[1, 3]
    image_size: Count
    classes: Annotated[int, Ge(2)]
    train_images: Count | None
    val_images: Count | Share | None
    test_images: Count | Share | Literal["rest"] | None
    split_seed: Natural | Literal["each"]
    source: str = field(default="digits", metadata=ASIDE)
    path: str | None = field(default=None, metadata=ASIDE)
    subset: str | None = field(default=None, metadata=ASIDE)
    image_column: str = field(default="image", metadata=ASIDE)
    label_column: str = field(default="label", metadata=ASIDE)
    train_part: str = field(default="train", metadata=ASIDE)
    val_part: str | None = field(default=None, metadata=ASIDE)
    test_part: str | None = field(default=None, metadata=ASIDE)
    resize: Count | None = None
    unusable: Literal["refuse", "skip"] = field(default="refuse", metadata=ASIDE)
    keep: Literal["auto", "resident", "stream"] = "auto"
    joined: bool = False

    @property
    def task(self) -> Task:
        """The size of the network's input and output on this data."""
        return Task(channels=self.channels, image_size=self.image_size, classes=self.classes)

    def of_seed(self, seed: int) -> "DataConfig":
        """The data with the one split that runs of a seed have; itself where all runs share one."""
        return replace(self, split_seed=seed) if self.split_seed == "each" else self

    @property
    def lacks_path(self) -> bool:
        """Whether the source needs a path and none is given."""
        return self.source in ("hub", "parquet", "folder") and self.path is None

    @property
    def place(self) -> str:
        """The setting that says where the images come from, for messages."""
        return f"data.source={self.source}" if self.path is None else f"data.path={self.path}"


class Numbers(dict[str, dict[str, float]]):
    """Numbers by name, by the name of their part; not changed once they are made, so that they can be hashed."""

    def __hash__(self) -> int:  # type: ignore[override] # that of a dictionary is None
        return hash(tuple((name, tuple(sorted(own.items()))) for name, own in sorted(self.items())))


@dataclass(frozen=True)
class Recipe:
    """How networks are trained, the same for every setting: SGD with momentum on cross-entropy, or what is named here.

    epochs              passes over the training images; null: `steps` gives the length
    schedule            one_cycle, cosine: linear warm-up, then half a cosine to zero; linear: then a straight line to
                        zero; constant: then no change; step: a tenth at each milestone; or the name of one that an
                        extension adds
    warmup              fraction of all steps spent warming up (all but step)
    milestones          fractions of all steps after which the rate falls (step)
    momentum, nesterov  of sgd
    weight_decay        on all parameters, as in the paper's code, unless `decay_norms` is false
    shift               images are padded by this many pixels of the mean colour and cropped back at a random place
    flip                images are mirrored left to right with probability one half
    zero_init_residual  the last batch norm of each block starts at zero, so each block starts as the identity
    init                standard deviation of a convolution's first weights. fan_out: sqrt(2 / (k * k * out_channels)),
                        as in the paper's code; fan_out_groups: the same with the output channels of one group, so that
                        a 3x3 filter starts with one norm whatever the cardinality; fan_in: sqrt(2 / (k * k *
                        in_channels of one group)) (He et al., 1502.01852)
    init_gain           factor on the first weights of the blocks' k x k convolutions, k > 1
    cutout              side in pixels of a square of the mean colour laid over a random place (DeVries, 1708.04552)
    crop_area           range of the share of the image's area that a random crop takes before it is resized
                        (Szegedy et al., 1409.4842; aspect 3/4 to 4/3); null: none
    jitter              brightness, contrast and saturation change by a factor within 1 -+ jitter, in random order
    lighting            standard deviation of the shifts along the colours' principal axes (Krizhevsky et al., 2012)
    micro_batch         images per forward pass, over which batch norm computes its statistics; null: the whole batch
    steps               of SGD that a run takes in place of whole epochs: warm-up and schedule lie over these, and the
                        last epoch ends with the last step; null: `epochs` gives the length
    optimizer, loss     sgd or adamw, and cross_entropy, or the names of those that an extension adds
    augmentation        names of those that extensions add, in their order, after all of ours
    numbers             of such parts, by the part's name: {mixup: {alpha: 0.4}}; others stand at the part's defaults
    betas               of adamw: what is kept each step of the means of gradients and of their squares (Kingma and Ba,
                        1412.6980, algorithm 1; decoupled weight decay: Loshchilov and Hutter, 1711.05101, algorithm 2)
    decay_norms         false: no weight decay on parameters of one dimension, which are batch norms and biases
    warmup_epochs       epochs spent warming up, in place of the fraction `warmup`
    clip                largest norm of all gradients together: longer ones are shortened to it; null: none are
    ema                 share that an exponential moving average of the weights keeps of itself each step; it is what is
                        validated, tested and exported; 0: none (explorer/training/averaging.py)
    mixup, cutmix       each image is mixed with another one of its batch, all of it (Zhang et al., 1710.09412) or a
                        rectangle (Yun et al., 1905.04899), and so are their labels; the share is drawn for the batch
                        from a beta distribution with both parameters at this number. With both, every batch draws
                        which; 0: not
    rand_augment        number and strength, 0 to 10, of operations drawn for each image (Cubuk et al., 1909.13719);
                        null: none
    trivial_augment     one operation with a strength drawn for each image (Mueller and Hutter, 2103.10158)
    erasing             chance that a rectangle of 2 to 40 % of an image gets the mean colour (Zhong et al., 1708.04896)
    stochastic_depth    chance that an image leaves out the last block's branch; that of earlier blocks falls linearly
                        to zero (Huang et al., 1603.09382)
    dropout             share of the features that are dropped before the classifier
    """

    epochs: Annotated[int, Ge(1), Le(MOST_EPOCHS)] | None
    batch_size: Count
    learning_rate: Annotated[float, Gt(0), Lt(math.inf)]
    schedule: str
    warmup: Fraction
    milestones: tuple[Annotated[float, Gt(0), Le(1)], ...]
    momentum: Fraction
    nesterov: bool
    weight_decay: Rate
    label_smoothing: Fraction
    shift: Natural
    flip: bool
    zero_init_residual: bool
    cutout: Natural = 0
    crop_area: tuple[Share | Literal[1], Share | Literal[1]] | None = None
    jitter: Fraction = 0.0
    lighting: Rate = 0.0
    micro_batch: Count | None = None
    init: Literal["fan_out", "fan_out_groups", "fan_in"] = "fan_out"
    init_gain: Annotated[float, Gt(0), Lt(math.inf)] = 1.0
    steps: Count | None = None
    optimizer: str = "sgd"
    augmentation: tuple[str, ...] = ()
    loss: str = "cross_entropy"
    numbers: dict[str, dict[str, Number]] = field(default=Numbers())
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    decay_norms: bool = True
    warmup_epochs: Rate = 0.0
    clip: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    ema: Fraction = 0.0
    mixup: Shape = 0.0
    cutmix: Shape = 0.0
    rand_augment: tuple[Annotated[int, Ge(1), Le(16)], Annotated[float, Ge(0), Le(10)]] | None = None
    trivial_augment: bool = False
    erasing: Annotated[float, Ge(0), Le(1)] = 0.0
    stochastic_depth: Fraction = 0.0
    dropout: Fraction = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", Numbers(self.numbers))

    @property
    def shown(self) -> dict[str, Any]:
        """All of it by key, without what its optimiser does not read and parts that, like most recipes, it lacks."""
        quiet = [one.name for one in fields(self)]
        quiet = quiet[quiet.index("optimizer") :]
        absent = {one.name for one in fields(self) if one.name in quiet and getattr(self, one.name) == one.default}
        absent |= {"momentum", "nesterov"} if self.optimizer == "adamw" else set()
        return {key: value for key, value in asdict(self).items() if key not in absent}

    def steps_on(self, images: int) -> int:
        """Number of steps of a run with so many training images."""
        return self.steps if self.steps is not None else (self.epochs or 0) * (images // self.batch_size)

    def epochs_on(self, images: int) -> int:
        """Number of epochs that a run with so many training images begins; with `steps` it may not end the last one."""
        if self.steps is None:
            return self.epochs or 0
        return -(-self.steps // max(1, images // self.batch_size))

    @property
    def whole_epochs(self) -> int:
        """The number of epochs of a recipe whose length they give."""
        assert self.epochs is not None
        return self.epochs

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, so that labels are shares of classes."""
        return bool(self.mixup or self.cutmix)

    @property
    def images_a_pass(self) -> int:
        """Number of images in one forward pass."""
        return self.micro_batch or self.batch_size


@dataclass(frozen=True)
class SearchConfig:
    """Which designs of the space a study trains, and with which seeds.

    sampler       listed: every one; uniform, space_filling: `designs` of the feasible ones, drawn before the first run;
                  random, tpe, nsga2, gp, qmc: `designs` of them, each chosen by Optuna from the results before it, as
                  by a sampler that an extension adds, under its name
    seeds         of each design; auto: as many as the first of 6, 12 and 20 at which the contrast is decided, each look
                  at a third of the threshold, so that looking thrice does not find differences that are not there
    first_seed    the lowest seed; the others follow it, so that two studies of one question can divide its seeds
    designs       number of designs; null for the sampler listed
    sampler_seed  seed of the random drawing of designs
    forms         equivalent forms of the blocks in which each design is trained, from the same first weights: sum (a),
                  concat (b), grouped (c) (ResNeXt paper, figure 3)
    objectives    what a search minimises: the validation error alone, or that and a cost, as [error, macs]; latency
                  is measured when a design is chosen, while nothing is trained, as is a measure of an extension that
                  does not follow from the design
    latency_batch images of the forward pass that is timed
    only          names of designs to train in place of the sampler's choice, to the end and with a test: to train a
                  design again, or one that a search has chosen
    pruner        stops poor designs of a search on their way, judged by their mean validation error at rungs. halving:
                  about the better third of those that came this far goes on; hyperband: the same, beginning at several
                  rungs; median: those better than the median of the designs trained to their end; none: all are trained
                  to their end. Two objectives are ranked by non-dominated sorting (halving alone)
    first_rung    epochs before the first rung; null: a ninth of all, or one in factor^2
    factor        rungs lie this many times apart, and one design in so many goes on
    rung_error    the error by which rungs judge: that on validation images, or that measured while training, which may
                  order unfinished designs better (docs/searches.md)
    baseline      share of a search's designs that are drawn at random and trained to their end whatever the others'
                  results: the search is compared with them
    final         so many of a search's designs, the best by validation, are trained anew when it is finished, on
                  training and validation images together, and then judged on the test images; 0: none
    final_seeds   fresh seeds with which each of these is trained
    rates         multiples of the recipe's learning rate at which the contrast's two settings are trained as well, on
                  validation images alone: does the verdict hold when each has the rate that suits it best?
    hours         of wall time after which this start stops, and what it trains is saved; null: when all is done. A
                  property of this start alone: never stored, and nothing that is sampled or trained depends on it
    """

    sampler: str
    seeds: Annotated[int, Ge(1), Le(10_000)] | Literal["auto"]
    designs: Annotated[int, Ge(1), Le(100_000)] | None = None
    sampler_seed: Natural = 0
    objectives: tuple[str, ...] = ("error",)
    latency_batch: Count = 1
    rates: tuple[Annotated[float, Ge(1e-6), Le(1e6)], ...] = ()
    only: tuple[str, ...] = ()
    pruner: Pruner = "none"
    first_rung: Count | None = None
    factor: Annotated[int, Ge(2), Le(100)] = 3
    rung_error: Literal["validation", "training"] = "validation"
    baseline: Fraction = 0.0
    forms: Annotated[tuple[Literal["sum", "concat", "grouped"], ...], MinLen(1)] = ("grouped",)
    first_seed: Annotated[int, Ge(0), Le(1_000_000_000)] = 0
    final: Annotated[int, Ge(0), Le(100)] = 0
    final_seeds: Annotated[int, Ge(1), Le(MOST_FINAL_SEEDS)] = 5
    hours: Annotated[float, Gt(0), Le(MOST_HOURS)] | None = field(default=None, metadata=ASIDE)

    def __post_init__(self) -> None:
        if self.sampler not in samplers.known():
            raise ValueError(
                f"sampler={self.sampler}: allowed: {', '.join(samplers.known())}, and those of extensions=FILE.py"
            )
        for name in self.objectives:
            if name != "error" and name not in OURS and name not in ADDED:
                known = ", ".join(("error", *ADDED, *OURS))
                raise ValueError(f"objectives={name}: allowed: {known}, and measures of extensions=FILE.py")

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which the results are judged; with all but the last the study may go on."""
        return LOOKS if self.seeds == "auto" else (self.seeds,)

    @property
    def cost(self) -> str | None:
        """The cost that a search minimises besides the error, if any."""
        return self.objectives[1] if len(self.objectives) > 1 else None

    @property
    def random_designs(self) -> int:
        """Number of a search's designs that are drawn at random, for comparison with the search."""
        return round((self.designs or 0) * self.baseline)

    @property
    def final_designs(self) -> int:
        """Number of designs that a final round trains anew; 0 if none follows the search."""
        return self.final if self.is_adaptive and self.cost is None else 0

    @property
    def is_adaptive(self) -> bool:
        """Whether results decide what is trained next; the test images are not evaluated then."""
        return self.sampler in samplers.adaptive() and not self.only


@dataclass(frozen=True)
class EngineConfig:
    """Where runs are executed: processes on this machine, tasks of a Ray cluster, or jobs of a Slurm cluster.

    workers    runs at once; auto: as many as give the highest throughput on each device, on all there are
    threads    CPU threads of each worker; auto: by measured throughput. Fixed by the study's first start, since sums
               depend on it in the last bits
    retries    how often a run is tried again if its process dies
    precision  of convolutions and maps; weights are always kept in float32. auto: bfloat16 where it is faster here, or
               float16 on a GPU that has no units for bfloat16
    forms      auto: grouped convolutions and batch norms are executed in whichever equivalent way is fastest here;
               native: as torch executes them
    deterministic  false: a GPU's fastest kernels, though they may give other last bits each time. Fixed by the study's
                   first start; a CPU's are deterministic anyway
    loaders    threads that read and decode images where these are streamed; auto: one per core
    save_every  seconds between two checkpoints of a run, which bound the work that a crash can cost; more where writing
               them would take over 2 % of the time
    silence    seconds without a training step or any other message after which a worker counts as hung; its processes
               are then ended and the run is tried again
    price      of an hour of one device: of a GPU, or of a machine that trains without one; a number, with its currency
               or without: `2.5EUR`. What a start spends is then told in money too. Only a command says it

    Of Ray alone:
    address    local: a cluster of this machine alone, started for the study; auto: the one that is running here or that
               RAY_ADDRESS names; HOST:PORT of another one's head
    share      of a GPU that each run takes; auto: as many share one as give the highest throughput and fit its memory
    ahead      runs submitted beyond those for which there is room, so that a cluster that scales itself sees demand
    patience   seconds that a cluster has to provide what a run needs, before the study is refused

    Of Slurm alone:
    jobs       at once, submitted as arrays; each trains as many runs at once as its GPUs or cores do best
    minutes    time limit of each job; unfinished runs continue in the next job from their last step
    gpus       of each job
    cores      of each job
    memory     GB of each job; null: the cluster's default
    partition, account, qos, constraint  as in sbatch; null: the cluster's default
    setup      lines of shell that come before everything else in a job
    executor   local: the jobs are processes of this machine, to try things without a cluster
    """

    name: Literal["local", "ray", "slurm"]
    workers: Count | Literal["auto"]
    threads: Count | Literal["auto"]
    retries: Natural
    precision: Literal["auto"] | Precision = "auto"
    forms: Literal["auto", "native"] = "auto"
    deterministic: bool = True
    loaders: Count | Literal["auto"] = "auto"
    save_every: Annotated[float, Ge(0)] = 30.0
    silence: Annotated[float, Gt(0)] = 900.0
    price: float | str | None = None
    address: Annotated[str, MinLen(1)] = field(default="local", metadata=OF_RAY)
    share: Annotated[float, Gt(0), Le(1)] | Literal["auto"] = field(default="auto", metadata=OF_RAY)
    ahead: Natural = field(default=1, metadata=OF_RAY)
    patience: Annotated[float, Gt(0), Lt(math.inf)] = field(default=20.0, metadata=OF_RAY)
    jobs: Annotated[int, Ge(1), Le(1000)] = field(default=4, metadata=OF_SLURM)
    minutes: Annotated[int, Ge(1), Le(100_000)] = field(default=60, metadata=OF_SLURM)
    gpus: Annotated[int, Ge(0), Le(64)] = field(default=1, metadata=OF_SLURM)
    cores: Count = field(default=4, metadata=OF_SLURM)
    memory: Count | None = field(default=None, metadata=OF_SLURM)
    partition: str | None = field(default=None, metadata=OF_SLURM)
    account: str | None = field(default=None, metadata=OF_SLURM)
    qos: str | None = field(default=None, metadata=OF_SLURM)
    constraint: str | None = field(default=None, metadata=OF_SLURM)
    setup: tuple[str, ...] = field(default=(), metadata=OF_SLURM)
    executor: Literal["slurm", "local"] = field(default="slurm", metadata=OF_SLURM)

    @property
    def foreign(self) -> set[str]:
        """Keys that only other engines have."""
        return {own.name for own in fields(self) if own.metadata.get("of", self.name) != self.name}


@dataclass(frozen=True)
class StorageConfig:
    """What is stored in addition to the record, which is always in the study's folder.

    mirror    a database for optuna-dashboard: sqlite is a file in the study's folder, url one that many may share
    weights   last: each run's weights after its last epoch, as local/weights/<run>.safetensors
    url       an Optuna storage URL; its password is never written to a file
    trackers  experiment trackers that this start keeps up to date, where their own settings say; never stored
    """

    mirror: Literal["sqlite", "url", "none"]
    weights: Literal["none", "last"] = "none"
    url: Annotated[str, MinLen(1)] | None = None
    trackers: tuple[Tracker, ...] = ()


@dataclass(frozen=True)
class ReportConfig:
    """How a study's page is drawn.

    live    true: a separate process redraws the page while the study runs; false: it is drawn when the study ends
    images  whether the page shows test images; auto: those of the digits, which come with the program. Only a command
            decides it, and it is not recorded: pictures may be private or belong to others
    """

    live: bool = True
    images: bool | Literal["auto"] = "auto"


@dataclass(frozen=True)
class StudyConfig:
    """A whole study: the question and everything that determines its answer.

    spaces  where a study compares populations: spaces by name, of each of which `search.designs` designs are drawn, all
            held to the one budget; `space` is then not used, and the contrast names two of these
    fork    if the study was started with other settings, continue it under another name: true, or that name; not part
            of the study itself
    """

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
    spaces: dict[str, Space] = field(default_factory=dict)
    report: ReportConfig = field(default_factory=ReportConfig)
    fork: bool | str = False

    @property
    def is_told(self) -> bool:
        """Whether another program trains the runs and tells their results, or they were imported from a file."""
        return self.data.source in ("elsewhere", "imported")

    @property
    def is_imported(self) -> bool:
        """Whether the results were imported from a file: nothing can be trained in such a study."""
        return self.data.source == "imported"

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of which the study keeps readings: of extensions, and those that its budget limits."""
        objectives = () if self.search.only else self.search.objectives
        return tuple(dict.fromkeys((*self.budget.bounds, *(one for one in objectives if one in ADDED))))

    @property
    def measured(self) -> tuple[str, ...]:
        """Those of these measures that are measured on a device."""
        return tuple(name for name in self.measures if not READ[name].is_counted)

    @property
    def records_filters(self) -> bool:
        """Whether the record has the filters of every run: where designs are listed, not many drawn ones."""
        return bool(self.search.only) or (self.search.sampler == "listed" and not self.spaces)

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which a search judges its unfinished designs; empty if it trains all to their end."""
        search, epochs = self.search, self.recipe.epochs
        if search.pruner == "none" or not search.is_adaptive or epochs is None:
            return ()
        rung, steps = search.first_rung or math.ceil(epochs / search.factor**2), []
        while rung < epochs:
            steps.append(rung)
            rung *= search.factor
        return tuple(steps)

    @property
    def trained_share(self) -> float:
        """How much of its training a design that a search chooses gets on average, as about one in `factor` goes on."""
        epochs = self.recipe.epochs
        if not self.rungs or epochs is None:
            return 1.0
        share = 0.0
        for step, (begin, end) in enumerate(pairwise((0, *self.rungs, epochs))):
            share += (end - begin) / float(self.search.factor) ** step
        return share / epochs

    @property
    def trainings_a_run(self) -> float:
        """Whole trainings for each planned run: fewer where a search stops designs, more with a final round."""
        search, seeds = self.search, self.search.looks[0]
        if not search.is_adaptive or not search.designs:
            return 1.0
        drawn = search.random_designs / search.designs
        final = search.final_designs * search.final_seeds / (search.designs * seeds)
        return drawn + (1 - drawn) * self.trained_share + final


@dataclass(frozen=True)
class StatusConfig:
    """`explorer list`, `explorer status NAME`: the study to describe, or None for all."""

    name: str | None = None


@dataclass(frozen=True)
class DeleteConfig:
    """`explorer delete NAME`: the study whose folder and page are deleted, and whether it is done without asking.

    database  the URL of a database outside the folder, from which the study is deleted too; null: from none
    """

    name: str
    yes: bool = False
    database: str | None = None


@dataclass(frozen=True)
class LabelConfig:
    """`explorer label NAME`: the labels of a study's test images, for a record that does not hold them.

    data  where the images are now, if no longer where the study had them
    """

    name: str
    data: str | None = None


@dataclass(frozen=True)
class TrackConfig:
    """`explorer track NAME TRACKER...`: experiment trackers into which a recorded study is written, from its record."""

    name: str
    trackers: tuple[Tracker, ...] = field(default=(), metadata=WORDS)


@dataclass(frozen=True)
class PushConfig:
    """`explorer push NAME to=USER/REPO`: a finished study on the Hugging Face hub.

    parts    table: its runs as a data set; network: what `explorer export` writes, as a model; page: a static Space;
             none: all three
    to       the repositories' name, the same for data set, model and Space; with `dry` it may be left out
    public   whether repositories that are made are public; those that are there stay as they are
    license  of what is uploaded, as the hub calls it (mit, cc-by-4.0); null: the cards name none
    dry      write the folders here and upload nothing
    folder   in which they are written; null: push/NAME
    data     where the images are now, if no longer where the study had them
    """

    name: str
    parts: tuple[Literal["table", "network", "page"], ...] = field(default=(), metadata=WORDS)
    to: str | None = None
    public: bool = False
    license: str | None = None
    dry: bool = False
    folder: str | None = None
    data: str | None = None


@dataclass(frozen=True)
class DoctorConfig:
    """`explorer doctor`: the study to examine, and whether it is repaired without asking."""

    name: str
    yes: bool


@dataclass(frozen=True)
class VerifyConfig:
    """`explorer verify`: an architecture's cost by every counter, and its equivalent forms compared.

    channels, image_size, classes  the task; null: the template's own
    batch_size, repeats            of the timing: images per pass, and number of passes, whose median is reported
    """

    architecture: str | None = field(metadata=WORDS)
    channels: Count | None
    image_size: Count | None
    classes: Count | None
    device: Literal["auto", "cpu", "cuda"]
    batch_size: Count
    repeats: Count
    seed: Natural


@dataclass(frozen=True)
class ExportConfig:
    """`explorer export architecture=NAME`: a design as files that work without this project.

    weights  a safetensors file of trained weights, as written with storage.weights=last; null: none
    folder   in which a folder for the design is created
    onnx     write ONNX as well
    """

    architecture: str | None = field(metadata=WORDS)
    channels: Count | None
    image_size: Count | None
    classes: Count | None
    weights: str | None
    folder: str
    onnx: bool
    seed: Natural


@dataclass(frozen=True)
class NetworkConfig:
    """`explorer export NAME`: a study's trained network as a folder that can be used without this project.

    name          the study
    architecture  one of its designs, in place of the best by validation
    seed          one of its seeds, in place of the best of the design by validation
    folder        to be written; null: exports/NAME
    onnx          write ONNX as well
    train         train the run again if its weights were not kept
    data          where the images are now, if no longer where the study had them
    """

    name: str
    architecture: str | None = None
    seed: Natural | None = None
    folder: str | None = None
    onnx: bool = False
    train: bool = False
    data: str | None = None


@dataclass(frozen=True)
class PredictConfig:
    """`explorer predict NAME IMAGE...`: the classes of image files, by a study's answer.

    name          the study
    images        files, or folders, all of whose images are taken; `-`: names from standard input
    architecture, seed  as in `NetworkConfig`
    to            a CSV file for all results; null: folders are printed as CSV, files as text
    data          where the images of the study are now; needed only of a record that says nothing of them
    """

    name: str
    images: tuple[str, ...] = field(default=(), metadata=WORDS)
    architecture: str | None = None
    seed: Natural | None = None
    to: str | None = None
    data: str | None = None


@dataclass(frozen=True)
class BenchmarkConfig:
    """`explorer benchmark`: how fast networks train or infer on this machine.

    subject  training: images per second of this project's loop and of a tutorial's, with targets, passed or failed;
             latency: milliseconds of one forward pass, candidates in turns
    architectures, batch_size, image_size, steps  what is trained or timed, and steps per turn
    turns    of each candidate, whose median is reported
    """

    subject: Literal["training", "latency"] = field(metadata=WORDS)
    architectures: tuple[str, ...]
    device: Literal["auto", "cpu", "cuda"]
    batch_size: Count
    image_size: Count
    steps: Count
    turns: Count
    seed: Natural


@dataclass(frozen=True)
class PoolConfig:
    """`explorer pool`: one claim over several data sets, from recorded studies of one contrast.

    studies  their names
    name     of the page, `reports/pool-NAME.html`; null: the names of the studies
    """

    studies: tuple[str, ...] = field(metadata=WORDS)
    name: str | None = None


@dataclass(frozen=True)
class ColumnsConfig:
    """Which column of an imported file holds what; null: it is found by its usual names, none: it is not used.

    design         names of networks; in their place axes may be given: depth, cardinality and bottleneck_width, and
                   where they are not the usual ones width, kernel_size, block, template, stem, projection, attention
                   and scale
    error, accuracy  on test images, of which the error is judged; val_* on validation images, train_* while training
    seed           the runs of one seed are paired
    epoch          of a row that tells a run's result after it; where there is one row for each run, its last one
    data, recipe, image_size  what results must have in common to be compared
    group          names of the groups whose distributions are shown beside each other
    status         how a run ended, where some did not come through
    """

    design: str | None = None
    error: str | None = None
    accuracy: str | None = None
    val_error: str | None = None
    val_accuracy: str | None = None
    train_error: str | None = None
    train_accuracy: str | None = None
    seed: str | None = None
    epoch: str | None = None
    data: str | None = None
    recipe: str | None = None
    image_size: str | None = None
    classes: str | None = None
    seconds: str | None = None
    params: str | None = None
    group: str | None = None
    status: str | None = None
    depth: str | None = None
    cardinality: str | None = None
    bottleneck_width: str | None = None
    width: str | None = None
    kernel_size: str | None = None
    block: str | None = None
    template: str | None = None
    stem: str | None = None
    projection: str | None = None
    attention: str | None = None
    scale: str | None = None


@dataclass(frozen=True)
class ImportConfig:
    """`explorer import FILE`: results of others as a study that is read only.

    file         a table as .csv, .tsv, .parquet, .json or .jsonl, an Optuna database (a file of SQLite or a URL), or
                 what W&B or MLflow export
    name         of the study; null: the file's
    part         which study, where an Optuna database holds several
    data         one data set of the file, or that of all its rows; each: a study for each
    recipe       one recipe of the file, or that of all its rows; each: a study for each
    image_size, channels, classes, test_images  of the images, where the name of the data set does not say
    unit         of errors and accuracies; auto: as their values say
    cost         against which the error is drawn
    contrast     two designs that are compared, paired by seed; `margin` is the largest difference that does not matter
    question     above the page; null: one that names the data set
    """

    file: str | None = field(default=None, metadata=WORDS)
    name: str | None = None
    part: str | None = None
    data: str | None = None
    recipe: str | None = None
    image_size: Count | None = None
    channels: Literal[1, 3] | None = None
    classes: Annotated[int, Ge(2)] | None = None
    test_images: Count | None = None
    unit: Literal["auto", "fraction", "percent"] = "auto"
    cost: Literal["params", "macs", "activations"] = "params"
    contrast: tuple[str, ...] = ()
    margin: Share | None = None
    question: str | None = None
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)


FIGURE_WIDTHS = {"column": 3.25, "page": 6.75}  # inches, of a journal's page with two columns


@dataclass(frozen=True)
class FigureConfig:
    """`explorer figure NAME`: figures of a study, drawn for a paper.

    figures  their names, or all; none: the first one of the study's page
    width    column (3.25 inches), page (6.75 inches), or a number of inches
    height   in inches; null: 0.62 of the width, and what the legend takes beyond one line
    format   of the files; csv: the numbers of a figure as a table
    folder   in which they are written, as NAME-FIGURE.pdf
    """

    name: str
    figures: tuple[str, ...] = field(default=(), metadata=WORDS)
    width: Literal["column", "page"] | Annotated[float, Ge(1), Le(40)] = "column"
    height: Annotated[float, Ge(0.5), Le(40)] | None = None
    format: Annotated[tuple[Literal["pdf", "svg", "png", "csv"], ...], MinLen(1)] = ("pdf",)
    folder: str = "figures"


@dataclass(frozen=True)
class TableConfig:
    """`explorer table NAME`: tables of a study for a paper.

    tables  final, settings, contrasts, checks; none: all that the study has
    format  of the files
    folder  in which they are written, as NAME-TABLE.tex
    """

    name: str
    tables: tuple[str, ...] = field(default=(), metadata=WORDS)
    format: Annotated[tuple[Literal["latex", "csv", "md"], ...], MinLen(1)] = ("latex",)
    folder: str = "tables"


@dataclass(frozen=True)
class RecordedConfig:
    """`explorer report --recorded`: the index of all studies that git tracks; a name is refused."""

    name: str | None = None
    recorded: bool = False


@dataclass(frozen=True)
class CiteConfig:
    """`explorer cite NAME`: how a study is cited, as BibTeX."""

    name: str


VerbConfig = VerifyConfig | ExportConfig | BenchmarkConfig | PoolConfig | ImportConfig
