"""What the verbs on designs find out: plain numbers, made where torch is known and told where it is not."""

from dataclasses import asdict, dataclass

from explorer.study.run import Execution


@dataclass(frozen=True)
class Referee:
    """One way to count an architecture; `activations` is None for who does not count them."""

    name: str
    params: int
    macs: int
    activations: int | None = None


@dataclass(frozen=True)
class Distances:
    """How far two networks are apart: largest differences, each as a share of the largest value of its kind.

    outputs, gradients  in training mode
    trained             all weights and running statistics after some SGD steps
    evaluated           outputs in evaluation mode after these steps
    """

    outputs: float
    gradients: float
    trained: float
    evaluated: float


@dataclass(frozen=True)
class FormResult:
    """One equivalent form: how far it is from form (c), in float64, and median seconds of one batch in float32."""

    form: str
    params: int
    macs: int
    apart: Distances
    forward: float
    backward: float


ALLOWED = 100  # times what one rounding of each weight does; forms add up paths in another order, in every block
VAGUE = 1e-2  # a difference that rounding alone explains and that is larger than this would hide a real one


@dataclass(frozen=True)
class Verification:
    """Every count of an architecture, and its forms; `no_forms` says why there are none.

    `rounding` is how far form (c) is from itself with every weight one unit in the last place apart: what a difference
    that is nothing but rounding grows to in this network. It is None where there are no forms.
    """

    name: str
    referees: list[Referee]
    forms: list[FormResult]
    rounding: Distances | None
    no_forms: str
    steps: int
    batch_size: int
    device: str

    @property
    def agrees(self) -> bool:
        """Whether all referees say the same, and all forms are the same function as far as rounding allows to tell.

        No fixed tolerance would do: how much a network enlarges a rounding depends on its depth and on the number of
        values that its batch norms see.
        """
        counts = {(referee.params, referee.macs) for referee in self.referees}
        counts |= {(form.params, form.macs) for form in self.forms}
        return len(counts) == 1 and all(self._is_rounding(form.apart) for form in self.forms)

    @property
    def vague(self) -> list[str]:
        """The kinds of distance of which rounding alone explains so much that a defect might hide in it."""
        found = {} if self.rounding is None else asdict(self.rounding)
        return [kind for kind, distance in found.items() if not ALLOWED * distance <= VAGUE]

    def _is_rounding(self, apart: Distances) -> bool:
        assert self.rounding is not None
        allowed = asdict(self.rounding)
        # Not a number is not within anything.
        return all(distance <= ALLOWED * allowed[kind] for kind, distance in asdict(apart).items())


@dataclass(frozen=True)
class Exported:
    """Files written, and how far ONNX is from the network (None: not written)."""

    files: list[str]
    trained: bool
    onnx_difference: float | None = None


@dataclass(frozen=True)
class Limits:
    """What a device can do at best: operations per second of a large matrix product, bytes per second of a copy."""

    device: str
    cores: int
    float32: float
    bfloat16: float
    bandwidth: float


@dataclass(frozen=True)
class TrainingSpeed:
    """Images per second of a network's training steps, ours and the reference's, the median of several turns.

    native    groups of each shape of grouped convolution, to tell which are executed otherwise
    accesses  to each convolution's output values in a step, of which the memory's limit is reckoned
    memory    bytes at the peak of a step; None where the system does not tell
    choosing  seconds that the choice of precision and forms took
    """

    name: str
    batch_size: int
    execution: Execution
    native: dict[str, int]
    macs: int
    activations: int
    accesses: int
    ours: float
    reference: float
    channels_last: float
    memory: int | None
    choosing: float

    @property
    def speedup(self) -> float:
        """How many times as fast as the reference."""
        return self.ours / self.reference

    def share_of_peak(self, limits: Limits) -> float:
        """Operations per second over those of a large matrix product; a backward pass counts as two forward ones."""
        peak = limits.bfloat16 if self.execution.precision == "bfloat16" else limits.float32
        return 6 * self.macs * self.ours / peak

    def share_of_bandwidth(self, limits: Limits) -> float:
        """Bytes that the maps' accesses move over those of a large copy."""
        size = 2 if self.execution.precision == "bfloat16" else 4
        return self.accesses * self.activations * size * self.ours / limits.bandwidth


@dataclass(frozen=True)
class Figure:
    """A figure to reach: what it is, what was measured, and whether that is enough; None: undecided."""

    what: str
    found: str
    passed: bool | None


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass of a batch: quartiles over so many passes."""

    name: str
    batch_size: int
    precision: str
    device: str
    lower: float
    median: float
    upper: float
    passes: int


@dataclass(frozen=True)
class Together:
    """Images per second of a small network alone on a device, and of several runs of it at once."""

    name: str
    alone: float
    workers: int
    together: float


def training_figures(
    found: list[TrainingSpeed], limits: Limits, together: Together | None, *, gpu: bool
) -> list[Figure]:
    """What the benchmark is to reach, passed or failed. The first network is the one others are told against."""
    has_bfloat16 = any(speed.execution.precision == "bfloat16" for speed in found)
    figures = []
    for speed in found:
        ratio = 3.5 if speed is found[0] and not gpu else 5.0
        least = ratio if gpu or has_bfloat16 else 1.5
        what = f"{speed.name}: at least {least:g}x the reference loop"
        figures.append(Figure(what, f"{speed.speedup:.2f}x", speed.speedup >= least))
    slowest = found[0].ours / found[-1].ours
    what = f"{found[-1].name}: at most 1.15x the time per image of {found[0].name}"
    figures.append(Figure(what, f"{slowest:.2f}x", slowest <= 1.15))
    if gpu:
        memory, peak = found[0].share_of_bandwidth(limits), found[0].share_of_peak(limits)
        what = f"{found[0].name}: at least 70 % of the memory's limit or 20 % of the peak"
        figures.append(Figure(what, f"{memory:.0%} and {peak:.0%}", memory >= 0.7 or peak >= 0.2))
    if together is not None and gpu:
        gain = together.together / together.alone
        figures.append(
            Figure(f"{together.workers} small runs at once: at least 2x one after another", f"{gain:.2f}x", gain >= 2)
        )
    return figures
